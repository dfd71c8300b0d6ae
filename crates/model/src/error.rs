use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The closed set of ways in which something fails. `present` and `receive` map it once to HTTP and once to gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request breaks a rule; sending it again unchanged fails again.
    Invalid,
    /// The request is larger than a named limit.
    TooLarge,
    /// The thing asked for is not here.
    NotFound,
    /// Who asks is not known.
    Unauthenticated,
    /// Who asks may not.
    Forbidden,
    /// A budget is used up for now; try again after the given seconds.
    Overloaded { retry_after_seconds: u32 },
    /// A query went over its memory, scan or sample limit.
    LimitExceeded,
    /// A deadline passed.
    Timeout,
    /// The caller went away.
    Cancelled,
    /// Known, and not built.
    Unsupported,
    /// Bytes at rest are not what was written.
    Corrupt,
    /// A disk, object store or peer failed; the request may be tried again.
    Unavailable,
    /// A bug of ours.
    Internal,
}

/// `what` starts with "cannot <verb> <thing>", lower case, and does not repeat its source.
#[derive(Debug)]
pub struct Error {
    pub code: Code,
    pub what: String,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), source: None }
    }

    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(Code::Invalid, what)
    }

    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(Code::Unsupported, what)
    }

    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Code::Internal, what)
    }

    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, what)
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The whole chain on one line: `what: source: source of the source`.
    pub fn chain(&self) -> String {
        let mut text = self.what.clone();
        let mut next = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(source: arrow::error::ArrowError) -> Self {
        Self::internal("cannot compute on a record batch").because(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_joins_every_source_once() {
        let io = std::io::Error::other("disk on fire");
        let inner = Error::unavailable("cannot write segment").because(io);
        let outer = Error::unavailable("cannot append to log").because(inner);
        assert_eq!(outer.chain(), "cannot append to log: cannot write segment: disk on fire");
    }
}
