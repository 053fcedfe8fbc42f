//! A remembered request as a command that sends the same bytes again.

use super::arrived::Remembered;
use super::forward::{Forwarder, destination};
use crate::error::{Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest body that is written into the command, in bytes: systems limit an argument to 128 KiB.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What curl sends by itself where it is not told otherwise.
const OF_CURL: [&str; 4] = ["Accept", "Content-Type", "Expect", "User-Agent"];

/// The command that sends `request` again, byte for byte, to `url` (by the rules of
/// [`Forwarder::to`](super::Forwarder::to)) or to where it came in. Its body is taken from the file
/// `saved`, where there is one, else it stands in the command.
///
/// It is for any POSIX shell, and of printable ASCII alone, whatever the request holds. What may
/// differ on the wire: curl sends `Host` first, in HTTP/1.0 as well where none was sent, and divides
/// a body in chunks anew.
///
/// # Errors
/// Refuses a body of more than 16 KiB that is in no file, and what [`Forwarder::to`] refuses.
pub fn command(request: &Remembered, url: Option<&str>, saved: Option<&Path>) -> Result<String> {
    let arrived = &request.arrived;
    let (origin, target) = match url {
        None => (format!("http://{}/", arrived.to), arrived.target.clone()),
        Some(url) => {
            Forwarder::to(url)?;
            let url = destination(url, &arrived.target);
            let host_at = url.find("://").map_or(0, |at| at + 3);
            let path_at = url.get(host_at..).and_then(|rest| rest.find('/'));
            let split = path_at.and_then(|at| url.split_at_checked(host_at + at));
            split.map_or((url.clone(), "/".to_owned()), |(origin, target)| {
                (format!("{origin}/"), target.to_owned())
            })
        }
    };
    let is_old = arrived.version() == Some(b"HTTP/1.0");
    let mut words = vec![format!("curl --http1.{}", if is_old { '0' } else { '1' })];
    if arrived.method == "HEAD" && request.body.is_empty() {
        words.push("--head".to_owned());
    } else {
        words.push(format!("-X {}", quoted(arrived.method.as_bytes())));
    }
    words.push(format!("--request-target {}", quoted(target.as_bytes())));
    for line in arrived.header_lines() {
        words.push(format!("-H {}", quoted(&header(line))));
    }
    for name in OF_CURL {
        if arrived.header(name).is_none() {
            words.push(format!("-H '{name}:'"));
        }
    }
    let mut before = String::new();
    match saved {
        _ if request.body.is_empty() => {}
        Some(file) => words.push(format!("--data-binary {}", quoted(&at_file(file)))),
        None if request.body.len() > BODY_BYTES_MAX => {
            return Err(Error::invalid(format!(
                "the body has {} bytes, too many for a command: have it saved to a file",
                request.body.len()
            )));
        }
        None if request.body.iter().all(is_plain) => {
            words.push(format!("--data-raw {}", quoted(&request.body)));
        }
        None => {
            before = format!("{} |\n", printf(&request.body));
            words.push("--data-binary @-".to_owned());
        }
    }
    words.push(format!("--globoff {}", quoted(origin.as_bytes())));
    Ok(before + &words.join(" \\\n  "))
}

/// A header line as curl takes it: one with nothing behind the colon would remove a header.
fn header(line: &[u8]) -> Vec<u8> {
    match memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) {
        Some((name, value)) if value.trim_ascii_end() == b":" => [name, b";"].concat(),
        _ => line.to_vec(),
    }
}

fn at_file(file: &Path) -> Vec<u8> {
    // `@-` would be standard input.
    let here: &[u8] = if file.as_os_str() == "-" { b"@./" } else { b"@" };
    [here, file.as_os_str().as_bytes()].concat()
}

/// A path as a word of a command, for any POSIX shell and of printable ASCII alone.
pub fn word(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let is_simple = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    match !bytes.is_empty() && bytes.iter().all(is_simple) {
        true => String::from_utf8_lossy(bytes).into_owned(),
        false => quoted(bytes),
    }
}

/// Whether a byte may stand between single quotes and be seen.
fn is_plain(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// A word for the shell that is these bytes. They hold no NUL, and end with no line break.
fn quoted(bytes: &[u8]) -> String {
    if !bytes.iter().all(is_plain) {
        return format!("\"$({})\"", printf(bytes));
    }
    let text = String::from_utf8_lossy(bytes);
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command that prints these bytes (POSIX, `printf` and "File Format Notation").
fn printf(bytes: &[u8]) -> String {
    let mut format = String::with_capacity(bytes.len() + 16);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            // It would begin an option.
            b'-' if at == 0 => format.push_str(r"\055"),
            b'\'' => format.push_str(r"'\''"),
            b'%' => format.push_str("%%"),
            b'\\' => format.push_str(r"\\"),
            plain if is_plain(plain) => format.push(char::from(*plain)),
            other => format.push_str(&format!(r"\{other:03o}")),
        }
    }
    format!("printf '{format}'")
}
