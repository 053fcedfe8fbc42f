//! A report as JUnit XML, for the CI systems that read it.

use super::report::{CheckResult, ConformanceReport, Verdict};
use super::trial::told;
use crate::error::{Error, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

impl ConformanceReport {
    /// The report as JUnit XML, in which a check has failed that ended at least as badly as
    /// `fail_on`; a lesser warning stands in what the test case printed.
    ///
    /// # Errors
    /// Only where hookwheel itself is at fault.
    pub fn to_junit(&self, fail_on: Verdict) -> Result<String> {
        let name = format!("hookwheel check {}", self.provider);
        let mut suite = TestSuite::new(name.as_str());
        for result in &self.results {
            let mut case = TestCase::new(result.name, status(result, fail_on));
            case.set_classname(name.as_str());
            case.set_time(result.exchanges.iter().map(|one| one.sent.duration).sum::<Duration>());
            if result.verdict == Verdict::Warn {
                case.set_system_out(format!("warning: {}", told_in_full(result)));
            }
            suite.add_test_case(case);
        }
        let mut report = Report::new(name.as_str());
        report.add_test_suite(suite);
        report.to_string().map_err(|error| {
            Error::internal(format!("the report cannot be written as JUnit XML: {error}"))
        })
    }
}

fn status(result: &CheckResult, fail_on: Verdict) -> TestCaseStatus {
    if result.verdict == Verdict::NotApplicable {
        let mut status = TestCaseStatus::skipped();
        status.set_message(result.finding.as_str());
        return status;
    }
    if result.verdict < fail_on {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(result.finding.as_str());
    status.set_type(result.verdict.as_str());
    status.set_description(told_in_full(result));
    status
}

fn told_in_full(result: &CheckResult) -> String {
    let mut text =
        format!("{}\nexpected: {}\nwhy: {}", result.finding, result.expected, result.why);
    for exchange in &result.exchanges {
        text.push_str(&format!("\nsent {}: {}", exchange.what, told(&exchange.sent)));
    }
    text
}
