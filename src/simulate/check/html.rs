//! A report as a page of its own: no script, nothing from elsewhere, fit to be sent to a partner.
//!
//! Whatever came over the wire is a stranger's text: it is escaped, and the page's own policy
//! forbids a browser to load or run anything.

use super::report::{CheckExchange, CheckResult, ConformanceReport, Verdict};
use super::trial::told;
use crate::model::{human_duration, is_unseen};
use crate::simulate::Sent;
use std::fmt::{self, Write};

/// Bytes of a body that are shown.
const BODY_SHOWN_BYTES: usize = 2048;
/// Characters of a header's value that are shown.
const VALUE_SHOWN_CHARS: usize = 300;
/// How the page looks.
const STYLE: &str = include_str!("report.css");

impl ConformanceReport {
    /// The report as an HTML page. It names the endpoint's host and path, and not the query of its
    /// URL, in which there may be a token.
    pub fn to_html(&self) -> String {
        let mut page = String::new();
        // Writing to a text cannot fail.
        let _ = self.write_page(&mut page);
        page
    }

    fn write_page(&self, page: &mut String) -> fmt::Result {
        let (title, host) = (Text(&self.title), Text(host(&self.url)));
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{host} as a consumer of {title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<header>\n<p class=\"kind\">Webhook conformance</p>\n\
             <h1>{host} <span>as a consumer of {title}</span></h1>\n"
        )?;
        write!(
            page,
            "<p class=\"meta\">{} · hookwheel {}</p>\n<ul class=\"counts\">\n",
            Text(&self.at.rfc3339(0)),
            env!("CARGO_PKG_VERSION")
        )?;
        for verdict in Verdict::ALL {
            let (class, count) = (verdict.as_str(), self.count(verdict));
            writeln!(page, "<li class=\"{class}\"><b>{count}</b> {}</li>", verdict.counted(count))?;
        }
        page.push_str("</ul>\n</header>\n<main>\n");
        for verdict in Verdict::ALL {
            let mut results =
                self.results.iter().filter(|result| result.verdict == verdict).peekable();
            if results.peek().is_none() {
                continue;
            }
            writeln!(page, "<section>\n<h2>{}</h2>", heading(verdict))?;
            results.try_for_each(|result| write_result(page, result))?;
            page.push_str("</section>\n");
        }
        page.push_str("</main>\n</body>\n</html>\n");
        Ok(())
    }
}

fn heading(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "Failed",
        Verdict::Warn => "Warnings",
        Verdict::Pass => "Passed",
        Verdict::NotApplicable => "Not applicable",
    }
}

fn write_result(page: &mut String, result: &CheckResult) -> fmt::Result {
    let verdict = result.verdict;
    write!(
        page,
        "<article class=\"{}\" id=\"{}\">\n<h3><span class=\"verdict\">{}</span> {} \
         <code>{}</code></h3>\n<p class=\"finding\">{}</p>\n",
        verdict.as_str(),
        result.name,
        verdict.words(),
        Text(result.title),
        result.name,
        Text(&result.finding)
    )?;
    if verdict != Verdict::NotApplicable {
        write!(page, "<dl>\n<dt>Expected</dt><dd>{}</dd>\n", Text(&result.expected))?;
        write_why(page, result)?;
        page.push_str("</dl>\n");
    }
    if !result.exchanges.is_empty() {
        let open = if verdict >= Verdict::Warn { " open" } else { "" };
        writeln!(page, "<details{open}><summary>What was sent, and what came back</summary>")?;
        result.exchanges.iter().try_for_each(|exchange| write_exchange(page, exchange))?;
        page.push_str("</details>\n");
    }
    page.push_str("</article>\n");
    Ok(())
}

fn write_why(page: &mut String, result: &CheckResult) -> fmt::Result {
    let why = &result.why;
    let weight = match (result.must, why.section.is_empty()) {
        (true, false) => "Demanded by",
        // No place on a page says it in words.
        (true, true) => "Follows from",
        (false, _) => "Advised by",
    };
    write!(page, "<dt>{weight}</dt><dd>")?;
    let place = match why.section.as_str() {
        "" => why.document.clone(),
        section => format!("{}, “{section}”", why.document),
    };
    // A provider file is somebody's text too: nothing but an address of the web becomes a link.
    if why.url.starts_with("https://") {
        write!(page, "<a href=\"{}\" rel=\"noreferrer\">{}</a>", Text(&why.url), Text(&place))?;
    } else {
        write!(page, "{}", Text(&place))?;
    }
    if let Some(words) = &why.words {
        write!(page, "<q>{}</q>", Text(words))?;
    }
    page.push_str("</dd>\n");
    Ok(())
}

fn write_exchange(page: &mut String, exchange: &CheckExchange) -> fmt::Result {
    let sent = &exchange.sent;
    write!(
        page,
        "<div class=\"exchange\">\n<h4>{} <span>{}</span></h4>\n<pre>{} {}\n",
        Text(&exchange.what),
        Text(&answer_words(sent)),
        Text(&sent.request.method),
        Text(path(&sent.request.url))
    )?;
    write_message(page, &sent.request.headers, &sent.request.body)?;
    page.push_str("</pre>\n");
    write_answer(page, sent)?;
    page.push_str("</div>\n");
    Ok(())
}

fn answer_words(sent: &Sent) -> String {
    match &sent.result {
        Ok(_) => String::new(),
        Err(_) => told(sent),
    }
}

fn write_answer(page: &mut String, sent: &Sent) -> fmt::Result {
    let Ok(answer) = &sent.result else { return Ok(()) };
    writeln!(
        page,
        "<pre class=\"answer\">{} after {}",
        Text(&super::report::status_words(answer.status)),
        human_duration(sent.duration)
    )?;
    write_message(page, &answer.headers, &answer.body)?;
    page.push_str("</pre>\n");
    Ok(())
}

fn write_message(page: &mut String, headers: &[(String, String)], body: &[u8]) -> fmt::Result {
    for (name, value) in headers {
        writeln!(page, "<b>{}</b>: {}", Text(name), Text(&shortened(value)))?;
    }
    if body.is_empty() {
        return Ok(());
    }
    let shown = body.get(..BODY_SHOWN_BYTES).unwrap_or(body);
    write!(page, "\n{}", Text(&String::from_utf8_lossy(shown)))?;
    if shown.len() < body.len() {
        write!(page, "\n<i>… and {} bytes more</i>", body.len() - shown.len())?;
    }
    Ok(())
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// Host and port of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The path of a URL, without its query.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Text of anybody's, as HTML shows it: what would be markup is escaped, what no eye can see or
/// what turns the direction of reading is shown by its number.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(letter)?,
                letter if is_unseen(letter) => write!(f, "{}", letter.escape_default())?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let hostile = "<script>alert('x')</script>\" onload=\"\u{1b}[2J\u{202e}\u{0}";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;\\u{1b}[2J\
             \\u{202e}\\u{0}"
        );
        for letter in "\u{61c}\u{200b}\u{feff}\u{2028}\u{2029}\u{e0041}\u{7f}".chars() {
            let shown = Text(&letter.to_string()).to_string();
            assert_eq!(shown, format!("\\u{{{:x}}}", u32::from(letter)));
        }
    }

    #[test]
    fn queries_are_left_out() {
        let url = "https://shop.example:8443/hooks?token=t-1";
        assert_eq!((host(url), path(url)), ("shop.example:8443", "/hooks"));
        assert_eq!((host("http://a"), path("http://a?b=/c")), ("a", "/c"));
    }
}
