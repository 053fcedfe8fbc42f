//! A report as JSON: one document, whose members stay what they are.

use super::report::{CheckExchange, CheckResult, ConformanceReport, Pointer, Verdict};
use crate::model::{Cut, escape_json};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    hookwheel: &'static str,
    provider: &'a str,
    title: &'a str,
    url: &'a str,
    at: String,
    success: bool,
    reached: bool,
    counts: Counts,
    results: Vec<ResultView<'a>>,
}

#[derive(Serialize)]
struct Counts {
    pass: usize,
    warn: usize,
    fail: usize,
    not_applicable: usize,
}

#[derive(Serialize)]
struct ResultView<'a> {
    name: &'a str,
    title: &'a str,
    verdict: &'static str,
    must: bool,
    expected: &'a str,
    finding: &'a str,
    why: Why<'a>,
    exchanges: Vec<ExchangeView<'a>>,
}

#[derive(Serialize)]
struct Why<'a> {
    document: &'a str,
    section: &'a str,
    url: &'a str,
    words: Option<&'a str>,
}

#[derive(Serialize)]
struct ExchangeView<'a> {
    what: &'a str,
    request: RequestView<'a>,
    duration_ms: u128,
    response: Option<ResponseView<'a>>,
    failure: Option<FailureView<'a>>,
}

#[derive(Serialize)]
struct RequestView<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(String, String)],
    body: String,
}

#[derive(Serialize)]
struct ResponseView<'a> {
    status: u16,
    headers: &'a [(String, String)],
    body: String,
    cut: Option<&'static str>,
}

#[derive(Serialize)]
struct FailureView<'a> {
    kind: &'static str,
    detail: &'a str,
}

impl ConformanceReport {
    /// The report as a JSON document: what `hookwheel check --format json` prints. Bodies are text;
    /// bytes in them that are not UTF-8 are replaced.
    pub fn to_json(&self) -> String {
        let document = Document {
            hookwheel: env!("CARGO_PKG_VERSION"),
            provider: &self.provider,
            title: &self.title,
            url: &self.url,
            at: self.at.rfc3339(0),
            success: self.is_success(),
            reached: self.is_reached(),
            counts: Counts {
                pass: self.count(Verdict::Pass),
                warn: self.count(Verdict::Warn),
                fail: self.count(Verdict::Fail),
                not_applicable: self.count(Verdict::NotApplicable),
            },
            results: self.results.iter().map(result).collect(),
        };
        // Texts and numbers only, which cannot fail to be written.
        escape_json(&serde_json::to_string_pretty(&document).unwrap_or_default())
    }
}

fn result(result: &CheckResult) -> ResultView<'_> {
    let Pointer { document, section, url, words } = &result.why;
    ResultView {
        name: result.name,
        title: result.title,
        verdict: result.verdict.as_str(),
        must: result.must,
        expected: &result.expected,
        finding: &result.finding,
        why: Why { document, section, url, words: words.as_deref() },
        exchanges: result.exchanges.iter().map(exchange).collect(),
    }
}

fn exchange(exchange: &CheckExchange) -> ExchangeView<'_> {
    let sent = &exchange.sent;
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    ExchangeView {
        what: &exchange.what,
        request: RequestView {
            method: &sent.request.method,
            url: &sent.request.url,
            headers: &sent.request.headers,
            body: text(&sent.request.body),
        },
        duration_ms: sent.duration.as_millis(),
        response: sent.result.as_ref().ok().map(|answer| ResponseView {
            status: answer.status,
            headers: &answer.headers,
            body: text(&answer.body),
            cut: answer.cut.map(|cut| match cut {
                Cut::TooLong => "too-long",
                Cut::OutOfTime => "out-of-time",
                Cut::Broken => "broken",
            }),
        }),
        failure: sent
            .result
            .as_ref()
            .err()
            .map(|failure| FailureView { kind: failure.kind.as_str(), detail: &failure.detail }),
    }
}
