//! Which line continues the log before it: stack traces of Java, Python, Go and Node, and whatever is indented.

/// Follows one log from its first line on.
#[derive(Debug)]
pub(crate) struct Joiner {
    trace: Trace,
    indented: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    None,
    /// Of Python, until its last line, which is not indented.
    Python,
    PythonEnded,
    /// Between two of Python's, the second of which came while the first was handled.
    PythonBetween,
    Go,
}

const PYTHON: &str = "Traceback (most recent call last):";

impl Joiner {
    pub(crate) fn begin(line: &str) -> Self {
        let trace = match line {
            _ if line.ends_with(PYTHON) => Trace::Python,
            _ if ["panic: ", "fatal error: ", "goroutine "].iter().any(|start| line.starts_with(start)) => Trace::Go,
            _ => Trace::None,
        };
        Self { trace, indented: false }
    }

    /// Whether the line, which has some text, belongs to the log. Then it is its last line so far.
    pub(crate) fn continues(&mut self, line: &str) -> bool {
        let after_indented = std::mem::replace(&mut self.indented, line.starts_with([' ', '\t']));
        if self.indented {
            return true;
        }
        if line.starts_with(PYTHON) {
            self.trace = Trace::Python;
            return true;
        }
        let closing = after_indented && line.chars().all(|c| matches!(c, '}' | ']' | ')' | ',' | ';'));
        if closing || line.starts_with("Caused by: ") || line.starts_with("Suppressed: ") {
            return true;
        }
        match self.trace {
            Trace::Python => self.trace = Trace::PythonEnded,
            Trace::PythonEnded => {
                self.trace = Trace::PythonBetween;
                return line.starts_with("During handling of the above exception")
                    || line.starts_with("The above exception was the direct cause");
            }
            Trace::Go => return of_go(line),
            Trace::None => return is_java_exception(line),
            Trace::PythonBetween => return false,
        }
        true
    }
}

/// A function's line, or one of those that stand between the stacks.
fn of_go(line: &str) -> bool {
    let starts = ["goroutine ", "created by ", "panic: ", "[signal ", "exit status ", "runtime stack:", "rax ", "..."];
    starts.iter().any(|start| line.starts_with(start))
        || line.ends_with(')') && line.contains(['.', '(']) && !line.contains(' ')
        || line.split_once('(').is_some_and(|(name, rest)| !name.contains(' ') && name.contains('.') && rest.ends_with(')'))
}

/// `java.lang.IllegalStateException: gone`, which loggers write below the message that it belongs to.
fn is_java_exception(line: &str) -> bool {
    let name = line.split(": ").next().unwrap_or_default();
    let ends = ["Exception", "Error", "Throwable"].iter().any(|end| name.ends_with(end));
    ends && name.contains('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text is one log, but for its last line.
    #[test]
    fn traces_are_one_log() {
        for text in [
            "2026 ERROR failed\njava.lang.IllegalStateException: gone\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\t... 3 more\nnext",
            "Exception in thread \"main\" a.B: x\n\tat a.B.c(B.java:1)\nnext",
            "ERROR:root:bad\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'a'\nDuring handling of the above exception, \
             another exception occurred:\nTraceback (most recent call last):\n  File \"a.py\"\nValueError: b\nnext",
            "panic: gone\n[signal SIGSEGV: segmentation violation code=0x1]\ngoroutine 1 [running]:\nmain.f(0x1, 0x2)\n\t/a.go:3 +0x1\n\
             net/http.(*conn).serve(0xc0001, {0x1, 0x2})\n\t/b.go:4\ncreated by net/http.(*Server).Serve\n\t/c.go:5\nexit status 2\nnext (all) is well",
            "TypeError: x is not a function\n    at f (/a.js:1:2)\n    at g {\n  code: 'X'\n}\nnext",
        ] {
            let mut lines = text.lines();
            let mut joiner = Joiner::begin(lines.next().expect("a line"));
            let joined: Vec<bool> = lines.map(|line| joiner.continues(line)).collect();
            let (last, rest) = joined.split_last().expect("lines");
            assert!(rest.iter().all(|joined| *joined) && !last, "{text}\n{joined:?}");
        }
        for (first, second) in [("a", "b"), ("a", "}"), ("a", "error: b"), ("KeyError: 'a'", "b"), ("a", "My Exception: b")] {
            assert!(!Joiner::begin(first).continues(second), "{first} {second}");
        }
    }
}
