//! Ports of protocols that are no HTTP: which are asked for, and who serves them.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Error, Result};
use receive::{FluentSecurity, Receivers, Tls, TlsFiles};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::serve::{bind, cannot_listen, listen, local};

/// None of a port is not served.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireSettings {
    pub(crate) syslog_udp: Option<SocketAddr>,
    pub(crate) syslog_tcp: Option<SocketAddr>,
    pub(crate) syslog_tls: Option<SocketAddr>,
    pub(crate) fluent: Option<SocketAddr>,
    pub(crate) fluent_tls: Option<SocketAddr>,
    /// What Forward's clients must know; none lets anybody in.
    pub(crate) fluent_security: Option<Arc<FluentSecurity>>,
    pub(crate) tls: Option<TlsFiles>,
}

impl WireSettings {
    /// The addresses that are asked for, each with its option, and whether who comes there is asked who they are.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr, bool)> {
        let known = self.tls.as_ref().is_some_and(|files| files.client_authorities.is_some());
        let keyed = self.fluent_security.is_some();
        let all = [
            ("syslog_udp", self.syslog_udp, false),
            ("syslog_tcp", self.syslog_tcp, false),
            ("syslog_tls", self.syslog_tls, known),
            ("fluent", self.fluent, keyed),
            ("fluent_tls", self.fluent_tls, keyed || known),
        ];
        all.into_iter().filter_map(|(option, address, asked)| Some((option, address?, asked)))
    }

    /// Takes the addresses. Nobody can connect yet; datagrams wait from now on.
    pub(crate) fn bind(&self) -> Result<Wire> {
        let tcp = |option, address: Option<SocketAddr>| address.map(|address| Port::bind(option, address)).transpose();
        Ok(Wire {
            tls: self.tls.clone().map(Tls::load).transpose()?.map(Arc::new),
            syslog_udp: self.syslog_udp.map(|address| datagrams("syslog_udp", address)).transpose()?,
            syslog_tcp: tcp("syslog_tcp", self.syslog_tcp)?,
            syslog_tls: tcp("syslog_tls", self.syslog_tls)?,
            fluent: self.fluent.map(forward).transpose()?,
            fluent_tls: tcp("fluent_tls", self.fluent_tls)?,
            fluent_security: self.fluent_security.clone(),
        })
    }
}

/// Addresses that are ours.
pub(crate) struct Wire {
    tls: Option<Arc<Tls>>,
    syslog_udp: Option<UdpSocket>,
    syslog_tcp: Option<Port>,
    syslog_tls: Option<Port>,
    /// With the socket of the same number for heartbeats.
    fluent: Option<(Port, UdpSocket)>,
    fluent_tls: Option<Port>,
    fluent_security: Option<Arc<FluentSecurity>>,
}

struct Port {
    option: &'static str,
    address: SocketAddr,
    socket: TcpSocket,
}

impl Port {
    fn bind(option: &'static str, address: SocketAddr) -> Result<Self> {
        let socket = bind(option, address)?;
        // A peer that has vanished without a word is noticed.
        socket.set_keepalive(true).map_err(|error| cannot_listen(option, address, error))?;
        Ok(Self { option, address, socket })
    }
}

impl Wire {
    /// By the names that the ready line gives them.
    pub(crate) fn addresses(&self) -> Result<Vec<(&'static str, SocketAddr)>> {
        let unknown = |error| Error::internal("cannot tell the address of a socket").because(error);
        let udp = self.syslog_udp.iter().map(|socket| Ok(("syslog_udp", socket.local_addr().map_err(unknown)?)));
        let fluent = self.fluent.as_ref().map(|(port, _)| port);
        let tcp = [self.syslog_tcp.as_ref(), self.syslog_tls.as_ref(), fluent, self.fluent_tls.as_ref()].into_iter().flatten();
        let tcp = tcp.map(|port| Ok((port.option, local(&port.socket)?)));
        udp.chain(tcp).collect()
    }

    /// Serves until `stopping`.
    pub(crate) fn serve(self, receivers: &Receivers, stopping: &watch::Receiver<bool>, tasks: &mut JoinSet<Result<()>>) -> Result<()> {
        let (receivers, stopping) = (|| receivers.clone(), || stopping.clone());
        if let Some(socket) = self.syslog_udp {
            let serving = receive::serve_syslog_udp(socket, receivers(), stopping());
            tasks.spawn(to_the_end(serving));
        }
        for (port, tls) in [(self.syslog_tcp, None), (self.syslog_tls, self.tls.clone())] {
            if let Some(Port { option, address, socket }) = port {
                let serving = receive::serve_syslog_tcp(listen(socket, option, address)?, tls, receivers(), stopping());
                tasks.spawn(to_the_end(serving));
            }
        }
        let (fluent, heartbeats) = self.fluent.unzip();
        if let Some(socket) = heartbeats {
            let answering = receive::answer_heartbeats(socket, stopping());
            tasks.spawn(to_the_end(answering));
        }
        for (port, tls) in [(fluent, None), (self.fluent_tls, self.tls)] {
            if let Some(Port { option, address, socket }) = port {
                let (listener, security) = (listen(socket, option, address)?, self.fluent_security.clone());
                let serving = receive::serve_fluent(listener, tls, security, receivers(), stopping());
                tasks.spawn(to_the_end(serving));
            }
        }
        Ok(())
    }
}

async fn to_the_end(serving: impl Future<Output = ()>) -> Result<()> {
    serving.await;
    Ok(())
}

/// Heartbeats come to the port's own number.
fn forward(address: SocketAddr) -> Result<(Port, UdpSocket)> {
    let port = Port::bind("fluent", address)?;
    let heartbeats = datagrams("fluent", local(&port.socket)?)?;
    Ok((port, heartbeats))
}

fn datagrams(option: &str, address: SocketAddr) -> Result<UdpSocket> {
    let bound = || {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    };
    bound().map_err(|error| cannot_listen(option, address, error))
}
