//! Which catalogue is in force, and how the next one comes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catalog::{
    Catalog, Diagnostic, Difference, History, Level, Live, Outcome, Problem, Provenance, Replacement, Side, SourceKind, Status, Trouble,
    Verdict, Version, When, differences,
};
use model::{Code, Error, Result};
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Semaphore};

use crate::copy::Copy;
use crate::database::{Added, Database};
use crate::git::Address;
use crate::parts::{LOCAL, Parts, for_source};
use crate::state::State;

/// Of changes that others overtake. Each of them is one of theirs that came through.
const ATTEMPTS_MAX: usize = 32;

/// For changes of this process that are before this one.
const TURN_MAX: Duration = Duration::from_secs(90);

/// Catalogues that are read at one time: each is some megabytes, and a processor.
const READERS_MAX: usize = 2;

/// Milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Called with each catalogue that comes into force, before whoever brought it has his answer.
pub type OnChange = Box<dyn Fn(&Catalog, Known) + Send + Sync>;

/// Whether all that is declared is known. While the store is away and there was none before, only a part may be: nothing may be deleted by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    All,
    Part,
}

/// Where the catalogue comes from, and where it is kept.
#[derive(Clone)]
pub struct Options {
    /// Files and folders beside the server.
    pub local: Vec<PathBuf>,
    pub git: Vec<Address>,
    /// A PostgreSQL that several processes share; none: a file in the data directory, of this process alone.
    pub postgres: Option<String>,
    /// How often the store and the repositories are asked for something new.
    pub poll: Duration,
    pub data_dir: PathBuf,
}

/// Without the address of the database, which may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let git: Vec<String> = self.git.iter().map(ToString::to_string).collect();
        f.debug_struct("Options").field("local", &self.local).field("git", &git).field("poll", &self.poll).finish_non_exhaustive()
    }
}

pub struct Registry {
    pub(crate) options: Options,
    pub(crate) database: Database,
    live: Arc<Live>,
    on_change: OnChange,
    now_ms: NowMs,
    pub(crate) state: Mutex<State>,
    /// Changes of this process come one after the other; those of others are met in the database.
    turn: tokio::sync::Mutex<()>,
    readers: Semaphore,
}

/// A catalogue as it is read, and the texts that it was read from.
struct Judged {
    catalog: Option<Catalog>,
    diagnostics: Vec<Diagnostic>,
    differences: Vec<Difference>,
}

/// Why there is no catalogue: what else is said of its files does not refuse them.
fn first_error(diagnostics: &[Diagnostic]) -> String {
    let error = diagnostics.iter().find(|diagnostic| diagnostic.check.level() == Level::Error);
    error.map(|diagnostic| diagnostic.problem.to_string()).unwrap_or_default()
}

impl Registry {
    /// Opens nothing and asks nobody; [`Self::start`] does.
    pub fn new(options: Options, on_change: OnChange, now_ms: NowMs) -> Result<Self> {
        let database = match &options.postgres {
            Some(url) => Database::postgres(url)?,
            None => Database::sqlite(&options.data_dir.join("catalogue.sqlite"))?,
        };
        let mut sources: Vec<&str> = options.git.iter().map(Address::source).collect();
        sources.sort_unstable();
        if let Some(twice) = sources.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!("cannot follow two repositories that are both called {}", twice[0])));
        }
        Ok(Self {
            options,
            database,
            live: Arc::default(),
            on_change,
            now_ms,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            readers: Semaphore::new(READERS_MAX),
        })
    }

    /// The one in force, for everybody who looks into it.
    pub fn live(&self) -> Arc<Live> {
        self.live.clone()
    }

    /// What the files beside the server are called by.
    pub(crate) fn local(&self) -> Provenance {
        let from = self.options.local.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        Provenance { source: LOCAL.to_owned(), kind: SourceKind::Local, from, ..Provenance::default() }
    }

    pub(crate) fn trouble(&self, what: impl Into<String>) -> Trouble {
        Trouble { since_ms: (self.now_ms)(), what: what.into(), problems: Vec::new(), commit: String::new(), author: String::new() }
    }

    /// Changes what is told of the catalogue in force.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let noted = change(&mut state);
        state.tell();
        noted
    }

    pub(crate) async fn turn(&self) -> Result<MutexGuard<'_, ()>> {
        let busy =
            || Error::new(Code::Overloaded { retry_after_seconds: 10 }, "cannot change the catalogue now: other changes are under way");
        tokio::time::timeout(TURN_MAX, self.turn.lock()).await.map_err(|_| busy())
    }

    /// Makes what the store has newest that which is in force. Needs the turn.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        let caught_up = self.newest_of_store().await;
        let is_back = self.note(|state| match &caught_up {
            Ok(()) => state.store.take().is_some(),
            Err(error) => {
                if state.store.is_none() {
                    tracing::error!("the catalogue in force stays, and may become old: {}", error.chain());
                }
                let since_ms = state.store.as_ref().map_or_else(|| (self.now_ms)(), |before| before.since_ms);
                state.store = Some(Trouble { since_ms, ..self.trouble(error.chain()) });
                false
            }
        });
        if is_back {
            tracing::info!("the catalogue's store answers again");
            self.tell_change();
        }
        caught_up
    }

    async fn newest_of_store(&self) -> Result<()> {
        let newest = self.database.version(When::Now).await?;
        let known = self.state.lock().version.clone();
        let Some(newest) = newest else {
            return match known {
                None => Ok(()),
                Some(known) => {
                    Err(Error::unavailable(format!("cannot find version {} in the catalogue's store, which is empty", known.number)))
                }
            };
        };
        if known.is_some_and(|known| (known.number, &known.content_hash) == (newest.number, &newest.content_hash)) {
            return Ok(());
        }
        let files = self.database.files(newest.number).await?;
        let sources = self.database.last_of_sources().await?;
        let Judged { catalog, diagnostics, .. } = self.judge(None, files.clone()).await?;
        let unreadable = || {
            let error = first_error(&diagnostics);
            Error::unsupported(format!("cannot use version {} of the catalogue, which another Tyto has taken: {error}", newest.number))
        };
        let catalog = catalog.ok_or_else(unreadable)?;
        tracing::info!("version {} of the catalogue is in force, by {}", newest.number, newest.by.source);
        self.put(newest, sources, files, catalog).await;
        Ok(())
    }

    /// In force from now on.
    async fn put(&self, version: Version, sources: Vec<Version>, files: Parts, catalog: Catalog) {
        let copy = self.options.postgres.is_some().then(|| Copy::new(version.clone(), sources.clone(), files.clone()));
        self.in_force(version, sources, files, catalog);
        if let (Some(copy), path) = (copy, self.copy_path()) {
            let written = tokio::task::spawn_blocking(move || copy.write(&path)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!("a start without the store would not find this catalogue: {}", error.chain());
            }
        }
    }

    pub(crate) fn in_force(&self, version: Version, sources: Vec<Version>, files: Parts, catalog: Catalog) {
        self.note(|state| {
            state.sources = sources.into_iter().map(|version| (version.by.source.clone(), version)).collect();
            (state.version, state.kept) = (Some(version), Arc::new(files));
        });
        self.replace(catalog);
    }

    fn replace(&self, catalog: Catalog) {
        self.live.replace(Arc::new(catalog));
        self.tell_change();
    }

    /// Of what is in force.
    pub(crate) fn tell_change(&self) {
        let known = {
            let state = self.state.lock();
            if state.version.is_some() || state.store.is_none() { Known::All } else { Known::Part }
        };
        (self.on_change)(&self.live.get(), known);
    }

    pub(crate) fn copy_path(&self) -> PathBuf {
        self.options.data_dir.join("catalogue-copy.json")
    }

    /// Reads files, beside those of `before` if these are to be compared, away from the threads that serve.
    async fn judge(&self, before: Option<Arc<Parts>>, files: Parts) -> Result<Judged> {
        let _reader = self.readers.acquire().await.map_err(|closed| Error::internal("cannot read a catalogue").because(closed))?;
        let live = self.live.get();
        let judged = tokio::task::spawn_blocking(move || {
            let texts = files.texts();
            let texts = borrowed(&texts);
            let (catalog, diagnostics) = Catalog::judge(&texts);
            let differences = before.zip(catalog.as_ref()).map(|(before, catalog)| {
                let before = before.texts();
                differences(Side { catalog: &live, texts: &borrowed(&before) }, Side { catalog, texts: &texts })
            });
            Judged { catalog, diagnostics, differences: differences.unwrap_or_default() }
        });
        judged.await.map_err(|panic| Error::internal("cannot read a catalogue: reading it broke off").because(panic))
    }

    /// A change of a source that others bring. What this process still has to keep goes first, or it would not be in force in between.
    pub(crate) async fn change_part(&self, change: &Replacement, dry_run: bool) -> Result<Outcome> {
        let unkept = self.state.lock().unkept;
        if unkept {
            // What is wrong with these keeps nobody else waiting; it is noted.
            let _ = self.take_local().await;
        }
        self.change(change, dry_run).await
    }

    /// All that [`History::apply`] does, of any source.
    async fn change(&self, change: &Replacement, dry_run: bool) -> Result<Outcome> {
        let _turn = self.turn().await?;
        for _ in 0..ATTEMPTS_MAX {
            self.catch_up().await?;
            let (head, before) = {
                let state = self.state.lock();
                (state.version.clone(), state.kept.clone())
            };
            refuse_other_kind(&before, &self.state.lock(), change)?;
            let after = before.with(change)?;
            let content_hash = after.content_hash();
            if before.content_hash() == content_hash {
                return Ok(Outcome { verdict: Verdict::Unchanged, version: head, differences: Vec::new(), diagnostics: Vec::new() });
            }
            let Judged { catalog, diagnostics, differences } = self.judge(Some(before.clone()), after.clone()).await?;
            let diagnostics = for_source(&change.by.source, diagnostics);
            let outcome = |verdict, version| Outcome { verdict, version, differences, diagnostics };
            let catalog = match catalog {
                None => return Ok(outcome(Verdict::Refused, head)),
                Some(_) if dry_run => return Ok(outcome(Verdict::WouldApply, head)),
                Some(catalog) => catalog,
            };
            // By whatever clock the version before was written: no two begin at one time, or in the wrong order.
            let from = head.as_ref().map_or(i64::MIN, |head| head.in_force_from_ms + 1);
            let version = Version {
                number: head.as_ref().map_or(0, |head| head.number) + 1,
                in_force_from_ms: (self.now_ms)().max(from),
                superseded_ms: None,
                by: change.by.clone(),
                content_hash,
            };
            if self.database.add(&version, &before, &after).await? == Added::Yes {
                let mut sources = self.state.lock().sources.clone();
                sources.insert(version.by.source.clone(), version.clone());
                self.put(version.clone(), sources.into_values().collect(), after, catalog).await;
                return Ok(outcome(Verdict::Applied, Some(version)));
            }
        }
        Err(Error::new(Code::Overloaded { retry_after_seconds: 5 }, "cannot change the catalogue now: others changed it each time"))
    }

    /// Takes the files beside the server, anew. Without the store they are in force all the same, and are kept once it is back.
    pub async fn take_local(&self) -> Result<()> {
        if self.options.local.is_empty() {
            let _turn = self.turn().await?;
            // Of its trouble others hear, as they do while nobody asks.
            let _ = self.catch_up().await;
            return Ok(());
        }
        let paths = self.options.local.clone();
        let read = tokio::task::spawn_blocking(move || catalog::texts(&paths)).await;
        let read = read.map_err(|panic| Error::internal("cannot read the catalogue: reading it broke off").because(panic))?;
        let problems = match read {
            Err(unreadable) => unreadable.into_iter().map(|diagnostic| diagnostic.problem).collect(),
            Ok(files) => {
                let change = Replacement { by: self.local(), files };
                match self.change(&change, false).await {
                    Ok(outcome) => self.is_kept(outcome).await?,
                    Err(error) if is_away(&error) => self.without_store(&change).await?,
                    Err(error) => {
                        let trouble = self.trouble(error.chain());
                        self.note(|state| state.trouble(&change.by, trouble));
                        return Err(error);
                    }
                }
            }
        };
        if problems.is_empty() {
            self.note(|state| state.troubles.remove(LOCAL));
            return Ok(());
        }
        let refused = refused(&problems);
        let trouble = Trouble { problems, ..self.trouble("cannot use the files beside the server; those before stay in force") };
        self.note(|state| state.trouble(&self.local(), trouble));
        Err(refused)
    }

    /// Gives what is wrong with the files.
    async fn is_kept(&self, outcome: Outcome) -> Result<Vec<Problem>> {
        let problems = outcome.problems();
        let was_unkept = problems.is_empty() && self.note(|state| std::mem::take(&mut state.unkept));
        if was_unkept && outcome.verdict == Verdict::Unchanged {
            // They were otherwise in between.
            let kept = self.state.lock().kept.clone();
            if let Some(catalog) = self.judge(None, (*kept).clone()).await?.catalog {
                self.replace(catalog);
            }
        }
        Ok(problems)
    }

    /// In force, although nothing can be kept now; gives what is wrong with the files.
    async fn without_store(&self, change: &Replacement) -> Result<Vec<Problem>> {
        let _turn = self.turn().await?;
        let kept = self.state.lock().kept.clone();
        let outcome = self.judge(None, kept.with(change)?).await?;
        let Some(catalog) = outcome.catalog else {
            let diagnostics = outcome.diagnostics;
            return Ok(Outcome { verdict: Verdict::Refused, version: None, differences: Vec::new(), diagnostics }.problems());
        };
        self.replace(catalog);
        self.note(|state| state.unkept = true);
        Ok(Vec::new())
    }

    /// A version, read.
    async fn read(&self, number: u64) -> Result<(Parts, Catalog)> {
        if number == 0 {
            return Ok((Parts::default(), Catalog::default()));
        }
        let there = self.database.version(When::Number(number)).await?;
        there.ok_or_else(|| Error::new(Code::NotFound, format!("cannot find version {number} of the catalogue")))?;
        let files = self.database.files(number).await?;
        let Judged { catalog, diagnostics, .. } = self.judge(None, files.clone()).await?;
        let unreadable = || {
            let error = first_error(&diagnostics);
            Error::unsupported(format!("cannot read version {number} of the catalogue: this Tyto is stricter: {error}"))
        };
        Ok((files, catalog.ok_or_else(unreadable)?))
    }
}

#[async_trait]
impl History for Registry {
    fn status(&self) -> Status {
        self.state.lock().status(self.database.kind())
    }

    async fn version(&self, when: When) -> Result<Option<Version>> {
        self.database.version(when).await
    }

    async fn versions(&self, before: Option<u64>, limit: usize) -> Result<Vec<Version>> {
        self.database.versions(before, limit).await
    }

    async fn catalog(&self, number: u64) -> Result<Catalog> {
        Ok(self.read(number).await?.1)
    }

    async fn differences(&self, from: u64, to: u64) -> Result<Vec<Difference>> {
        let (before, after) = (self.read(from).await?, self.read(to).await?);
        let compared = tokio::task::spawn_blocking(move || {
            let texts = [before.0.texts(), after.0.texts()];
            let [was, is] = [borrowed(&texts[0]), borrowed(&texts[1])];
            differences(Side { catalog: &before.1, texts: &was }, Side { catalog: &after.1, texts: &is })
        });
        compared.await.map_err(|panic| Error::internal("cannot compare two catalogues: comparing broke off").because(panic))
    }

    async fn apply(&self, change: Replacement, dry_run: bool) -> Result<Outcome> {
        let source = &change.by.source;
        let ours = |why: String| Err(Error::invalid(format!("cannot apply files of {source}: {why}")));
        if source == LOCAL {
            return ours("so the files beside the server are called; choose another name with --source".to_owned());
        }
        if let Some(address) = self.options.git.iter().find(|address| address.source() == source) {
            return ours(format!("the server follows {address}; commit them there, or choose another name with --source"));
        }
        let outcome = self.change_part(&change, dry_run).await?;
        let result = match outcome.verdict {
            Verdict::Applied => "applied",
            Verdict::Unchanged => "unchanged",
            Verdict::WouldApply => "dry_run",
            Verdict::Refused => "refused",
        };
        metrics::counter!("tyto_catalog_applies_total", "result" => result).increment(1);
        if outcome.verdict == Verdict::Applied {
            self.note(|state| state.troubles.remove(source));
        }
        Ok(outcome)
    }
}

/// A part has one way to come: a repository that is followed is not overwritten by who applies, nor the other way round. Anybody may take it away.
fn refuse_other_kind(files: &Parts, state: &State, Replacement { by, files: new }: &Replacement) -> Result<()> {
    let has_files = files.files().iter().any(|file| file.source == by.source);
    match state.sources.get(&by.source) {
        Some(before) if has_files && !new.is_empty() && is_other(&before.by, by) => Err(Error::invalid(format!(
            "cannot take files of {} as {}: they come as {} from {:?}; choose another name, or remove those by tyto apply --remove --source {}",
            by.source,
            by.kind.name(),
            before.by.kind.name(),
            before.by.from,
            by.source
        ))),
        _ => Ok(()),
    }
}

/// Two repositories of one name are two.
fn is_other(before: &Provenance, now: &Provenance) -> bool {
    before.kind != now.kind || now.kind == SourceKind::Git && before.from != now.from
}

fn borrowed<'a>(texts: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    texts.iter().map(|(name, text)| (name.as_str(), *text)).collect()
}

/// Every problem on a line of its own, with file and line.
fn refused(problems: &[Problem]) -> Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Error::invalid(format!("cannot use the catalogue:\n{}", lines.join("\n")))
}

/// Whether nothing can be kept now, and not the change is wrong. A store that a newer Tyto has changed is as good as none.
pub(crate) fn is_away(error: &Error) -> bool {
    matches!(error.code, Code::Unavailable | Code::Timeout | Code::Unsupported | Code::Overloaded { .. })
}
