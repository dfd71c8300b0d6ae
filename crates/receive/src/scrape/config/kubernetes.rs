//! Discovery in Kubernetes, as it is written, and the kubeconfig file that it may name.

use std::path::Path;

use catalog::yaml::{Node, Value};

use super::discovery::Discovery;
use super::fields::{Fields, Reader};
use super::http::{self, Auth, HttpOptions, Secret, Tls};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KubernetesDiscovery {
    pub(crate) access: KubernetesAccess,
    pub(crate) role: KubernetesRole,
    /// None are all.
    pub(crate) namespaces: Vec<String>,
    pub(crate) own_namespace: bool,
    pub(crate) selectors: Vec<KubernetesSelector>,
    pub(crate) attach: KubernetesAttach,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KubernetesAccess {
    /// By what Kubernetes gives each pod.
    InCluster,
    Server {
        url: String,
        http: Box<HttpOptions>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KubernetesRole {
    Node,
    Service,
    Pod,
    Endpoints,
    EndpointSlice,
    Ingress,
}

impl KubernetesRole {
    const ALL: [(&'static str, Self); 6] = [
        ("node", Self::Node),
        ("service", Self::Service),
        ("pod", Self::Pod),
        ("endpoints", Self::Endpoints),
        ("endpointslice", Self::EndpointSlice),
        ("ingress", Self::Ingress),
    ];

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, role)| role)
    }

    /// Whose objects its selectors may choose from.
    fn selects(self) -> &'static [Self] {
        match self {
            Self::Node => &[Self::Node],
            Self::Service => &[Self::Service],
            Self::Pod => &[Self::Pod, Self::Node],
            Self::Endpoints => &[Self::Pod, Self::Service, Self::Endpoints],
            Self::EndpointSlice => &[Self::Pod, Self::Service, Self::EndpointSlice],
            Self::Ingress => &[Self::Ingress],
        }
    }
}

/// In Kubernetes's own syntax; empty selects all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KubernetesSelector {
    pub(crate) role: KubernetesRole,
    pub(crate) label: String,
    pub(crate) field: String,
}

/// What of other objects targets are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KubernetesAttach {
    pub(crate) node: bool,
    pub(crate) namespace: bool,
    pub(crate) deployment: bool,
    pub(crate) job: bool,
    pub(crate) cronjob: bool,
}

const KEYS: [&str; 6] = ["api_server", "role", "kubeconfig_file", "namespaces", "selectors", "attach_metadata"];
const ROLES: &str = "node, service, pod, endpoints, endpointslice or ingress";

impl Reader {
    pub(super) fn kubernetes(&mut self, node: &Node) -> Option<Discovery> {
        let known: Vec<&'static str> = KEYS.into_iter().chain(http::scrape_keys().iter().copied()).collect();
        let fields = self.fields(node, "a Kubernetes discovery", &known)?;
        let role = self.parsed(&fields, "role", ROLES, KubernetesRole::of);
        if fields.get("role").is_none() {
            self.problem(fields.place, format!("cannot discover targets in Kubernetes without a role: write {ROLES}"));
        }
        let access = self.kubernetes_access(&fields);
        let (namespaces, own_namespace) = self.namespaces(&fields);
        if own_namespace && access != Some(KubernetesAccess::InCluster) {
            let why = "cannot use own_namespace beside api_server or kubeconfig_file: only a pod has a namespace";
            self.problem(fields.place_of("namespaces"), why);
        }
        let attach = self.attach(&fields);
        let selectors = self.selectors(&fields, role?);
        let options = KubernetesDiscovery { access: access?, role: role?, namespaces, own_namespace, selectors, attach };
        Some(Discovery::Kubernetes(Box::new(options)))
    }

    fn kubernetes_access(&mut self, fields: &Fields<'_>) -> Option<KubernetesAccess> {
        let url = self.parsed(fields, "api_server", "a URL like https://host:6443", |text| {
            url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none())?;
            Some(text.to_owned())
        });
        let written = http::scrape_keys().iter().find(|name| fields.get(name).is_some());
        let file = self.path(fields, "kubeconfig_file");
        let server = fields.get("api_server").is_some();
        if let (Some(name), false) = (written, server) {
            self.problem(
                fields.place_of(name),
                format!("cannot use {name} without api_server: who asks is said by the pod or the kubeconfig_file"),
            );
        }
        match (server, file) {
            (true, Some(_)) => {
                self.problem(fields.place_of("kubeconfig_file"), "cannot use kubeconfig_file beside api_server: choose one");
                None
            }
            (true, None) => Some(KubernetesAccess::Server { url: url?, http: Box::new(self.http(fields)) }),
            (false, Some(path)) => match kubeconfig(&path) {
                Ok((url, http)) => Some(KubernetesAccess::Server { url, http: Box::new(http) }),
                Err(why) => {
                    self.problem(fields.place_of("kubeconfig_file"), format!("cannot use kubeconfig_file {}: {why}", path.display()));
                    None
                }
            },
            (false, None) => Some(KubernetesAccess::InCluster),
        }
    }

    fn namespaces(&mut self, fields: &Fields<'_>) -> (Vec<String>, bool) {
        let Some(node) = fields.get("namespaces").filter(|node| !matches!(node.value, Value::Null)) else { return Default::default() };
        let Some(fields) = self.fields(node, "namespaces", &["own_namespace", "names"]) else { return Default::default() };
        let names = self.texts(&fields, "names");
        if let Some(name) = names.iter().find(|name| name.is_empty() || name.contains(['/', '?', '#'])) {
            self.problem(fields.place_of("names"), format!("cannot look at namespace {name:?}: it is no namespace's name"));
        }
        (names, self.flag(&fields, "own_namespace").unwrap_or(false))
    }

    fn attach(&mut self, fields: &Fields<'_>) -> KubernetesAttach {
        let Some(node) = fields.get("attach_metadata").filter(|node| !matches!(node.value, Value::Null)) else { return Default::default() };
        let known = ["node", "namespace", "deployment", "job", "cronjob"];
        let Some(fields) = self.fields(node, "attach_metadata", &known) else { return Default::default() };
        let mut flag = |name| self.flag(&fields, name).unwrap_or(false);
        let (node, namespace) = (flag("node"), flag("namespace"));
        KubernetesAttach { node, namespace, deployment: flag("deployment"), job: flag("job"), cronjob: flag("cronjob") }
    }

    fn selectors(&mut self, fields: &Fields<'_>, role: KubernetesRole) -> Vec<KubernetesSelector> {
        let mut selectors: Vec<KubernetesSelector> = Vec::new();
        for node in self.items(fields, "selectors") {
            let Some(fields) = self.fields(node, "a selector", &["role", "label", "field"]) else { continue };
            let Some(of) = self.parsed(&fields, "role", ROLES, KubernetesRole::of) else {
                if fields.get("role").is_none() {
                    self.problem(fields.place, format!("cannot select without a role: write {ROLES}"));
                }
                continue;
            };
            if !role.selects().contains(&of) {
                let names = KubernetesRole::ALL.into_iter().filter(|(_, role_of)| role.selects().contains(role_of)).map(|(name, _)| name);
                let names = names.collect::<Vec<_>>().join(", ");
                self.problem(
                    fields.place_of("role"),
                    format!("cannot select by this role here: the discovery's role selects from {names}"),
                );
            }
            if selectors.iter().any(|selector| selector.role == of) {
                self.problem(fields.place_of("role"), "cannot select by one role twice");
            }
            let mut text = |name| self.text(&fields, name).unwrap_or_default();
            selectors.push(KubernetesSelector { role: of, label: text("label"), field: text("field") });
        }
        selectors
    }
}

/// The server of a kubeconfig file's current context, and how it is asked. Of the file only what is needed is read: it is
/// another program's.
fn kubeconfig(path: &Path) -> Result<(String, HttpOptions), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let root = catalog::yaml::parse_with_aliases(&text).map_err(|(place, why)| format!("line {}: {why}", place.line))?;
    let file = Entry(&root);
    let current = file.text("current-context").ok_or("it has no current-context")?;
    let context = file.named("contexts", current)?.get("context").ok_or("its current context is empty")?;
    let cluster = file.named("clusters", context.text("cluster").ok_or("its current context has no cluster")?)?;
    let cluster = cluster.get("cluster").ok_or("its cluster is empty")?;
    let url = cluster.text("server").ok_or("its cluster has no server")?.to_owned();
    if let Some(name) = ["tls-server-name", "proxy-url"].into_iter().find(|name| cluster.text(name).is_some()) {
        return Err(format!("Tyto does not have its {name} yet"));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let secret = |entry: &Entry<'_>, data: &str, file: &str| -> Result<Option<Secret>, String> {
        if let Some(data) = entry.text(data) {
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).map_err(|error| error.to_string())?;
            return Ok(Some(Secret::Inline(String::from_utf8(bytes).map_err(|error| error.to_string())?)));
        }
        Ok(entry.text(file).map(|path| Secret::File(folder.join(path))))
    };
    let insecure_skip_verify = cluster.text("insecure-skip-tls-verify") == Some("true");
    let ca = secret(&cluster, "certificate-authority-data", "certificate-authority")?;
    let mut http = HttpOptions { tls: Tls { ca, insecure_skip_verify, ..Tls::default() }, ..HttpOptions::default() };
    let Some(user) = context.text("user") else { return Ok((url, http)) };
    let user = file.named("users", user)?;
    let Some(user) = user.get("user") else { return Ok((url, http)) };
    let foreign = ["exec", "auth-provider", "as", "as-uid", "as-groups", "as-user-extra"];
    if let Some(name) = foreign.into_iter().find(|name| user.get(name).is_some()) {
        return Err(format!("Tyto does not have its user's {name} yet: use a token"));
    }
    http.tls.certificate = secret(&user, "client-certificate-data", "client-certificate")?;
    http.tls.key = secret(&user, "client-key-data", "client-key")?;
    let inline = |name: &str| user.text(name).map(|text| Secret::Inline(text.to_owned()));
    let token = user.text("tokenFile").map(|path| Secret::File(folder.join(path))).or_else(|| inline("token"));
    let basic = || inline("username").map(|name| Auth::Basic { user: name, password: inline("password") });
    http.auth = token.map(|credentials| Auth::Authorization { scheme: "Bearer".to_owned(), credentials }).or_else(basic);
    Ok((url, http))
}

/// A map of a kubeconfig file.
struct Entry<'n>(&'n Node);

impl<'n> Entry<'n> {
    fn get(&self, name: &str) -> Option<Entry<'n>> {
        let Value::Map(entries) = &self.0.value else { return None };
        entries.iter().find(|(_, key, node)| key == name && !matches!(node.value, Value::Null)).map(|(.., node)| Entry(node))
    }

    fn text(&self, name: &str) -> Option<&'n str> {
        match &self.get(name)?.0.value {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The entry of a list by its `name`.
    fn named(&self, list: &str, name: &str) -> Result<Entry<'n>, String> {
        let Some(Value::List(items)) = self.get(list).map(|node| &node.0.value) else { return Err(format!("it has no {list}")) };
        items.iter().map(Entry).find(|item| item.text("name") == Some(name)).ok_or_else(|| format!("{name:?} is not in its {list}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_names_server_and_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let read = |user: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: b\n\
                 contexts: [{{name: a, context: {{cluster: x, user: y}}}}, {{name: b, context: {{cluster: c, user: u}}}}]\n\
                 clusters: [{{name: c, cluster: {{server: 'https://api:6443', certificate-authority-data: UEVN}}}}]\n\
                 users: [{{name: u, user: {user}}}]\n"
            );
            std::fs::write(&path, text).unwrap();
            kubeconfig(&path)
        };
        let bearer = |credentials| Some(Auth::Authorization { scheme: "Bearer".to_owned(), credentials });
        let (url, http) = read("{token: abc}").unwrap();
        assert_eq!((url.as_str(), &http.tls.ca), ("https://api:6443", &Some(Secret::Inline("PEM".to_owned()))));
        assert_eq!(http.auth, bearer(Secret::Inline("abc".to_owned())));
        assert_eq!(read("{tokenFile: t, token: abc}").unwrap().1.auth, bearer(Secret::File(folder.path().join("t"))));
        let (_, http) = read("{client-certificate: /c.pem, client-key-data: S0VZ}").unwrap();
        assert_eq!((http.tls.certificate, http.tls.key), (Some(Secret::File("/c.pem".into())), Some(Secret::Inline("KEY".to_owned()))));
        assert_eq!(read("{exec: {command: aws}}").unwrap_err(), "Tyto does not have its user's exec yet: use a token");
        std::fs::write(&path, "current-context: c\ncontexts: []\n").unwrap();
        assert_eq!(kubeconfig(&path).unwrap_err(), "\"c\" is not in its contexts");
    }
}
