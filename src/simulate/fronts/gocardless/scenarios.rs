//! What each scenario simulator makes happen, as a table.
//!
//! Names, and what each goes through, are those of GoCardless' reference on scenario simulators;
//! origins, causes and schemes those of its list of event actions, by way of the provider file.
//! Ours, since neither says it: that a payout follows its payment's `paid_out` at once, and which
//! of several causes a failure or chargeback has.

/// The resource that a simulator runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resource {
    Payment,
    Mandate,
}

impl Resource {
    /// What its ids begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Payment => "PM",
            Self::Mandate => "MD",
        }
    }
}

/// A linked resource of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    /// The resource that the simulator was given.
    Given,
    /// The payout that the payment came with.
    Payout,
    /// The payout that a chargeback or late failure was taken from.
    LaterPayout,
    /// The account that the mandate was for.
    PreviousAccount,
    /// The account that the mandate is for now.
    NewAccount,
}

/// An event of a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub event_type: &'static str,
    pub origin: &'static str,
    pub cause: &'static str,
    pub links: &'static [Link],
}

/// A scenario simulator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub name: &'static str,
    pub resource: Resource,
    pub steps: &'static [Step],
}

/// The simulator called `name`.
pub(super) fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// The names of all simulators.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name)
}

const fn step(
    event_type: &'static str,
    origin: &'static str,
    cause: &'static str,
    links: &'static [Link],
) -> Step {
    Step { event_type, origin, cause, links }
}

const fn payment(name: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario { name, resource: Resource::Payment, steps }
}

const fn mandate(name: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario { name, resource: Resource::Mandate, steps }
}

const GIVEN: &[Link] = &[Link::Given];
const WITH_PAYOUT: &[Link] = &[Link::Given, Link::Payout];
const WITH_LATER_PAYOUT: &[Link] = &[Link::Given, Link::LaterPayout];
const WITH_ACCOUNTS: &[Link] = &[Link::Given, Link::PreviousAccount, Link::NewAccount];

const SUBMITTED: Step = step("payments.submitted", "gocardless", "payment_submitted", GIVEN);
const CONFIRMED: Step = step("payments.confirmed", "gocardless", "payment_confirmed", GIVEN);
const PAID_OUT: Step = step("payments.paid_out", "gocardless", "payment_paid_out", WITH_PAYOUT);
const PAYOUT_PAID: Step = step("payouts.paid", "gocardless", "payout_paid", &[Link::Payout]);
const LATER_PAYOUT_PAID: Step =
    step("payouts.paid", "gocardless", "payout_paid", &[Link::LaterPayout]);
const FAILED: Step = step("payments.failed", "bank", "test_failure", GIVEN);
const CHARGED_BACK: Step = step("payments.charged_back", "bank", "authorisation_disputed", GIVEN);
const CHARGEBACK_SETTLED: Step =
    step("payments.chargeback_settled", "gocardless", "chargeback_settled", WITH_LATER_PAYOUT);
const LATE_FAILURE_SETTLED: Step =
    step("payments.late_failure_settled", "gocardless", "late_failure_settled", WITH_LATER_PAYOUT);

const MANDATE_SUBMITTED: Step =
    step("mandates.submitted", "gocardless", "mandate_submitted", GIVEN);
const MANDATE_ACTIVE: Step = step("mandates.active", "gocardless", "mandate_activated", GIVEN);
const MANDATE_TRANSFERRED: Step =
    step("mandates.transferred", "bank", "bank_account_transferred", WITH_ACCOUNTS);

const SCENARIOS: &[Scenario] = &[
    payment("payment_submitted", &[SUBMITTED]),
    payment("payment_confirmed", &[SUBMITTED, CONFIRMED]),
    payment("payment_paid_out", &[SUBMITTED, CONFIRMED, PAID_OUT, PAYOUT_PAID]),
    payment("payment_failed", &[SUBMITTED, FAILED]),
    payment("payment_charged_back", &[SUBMITTED, CONFIRMED, PAID_OUT, PAYOUT_PAID, CHARGED_BACK]),
    payment(
        "payment_chargeback_settled",
        &[
            SUBMITTED,
            CONFIRMED,
            PAID_OUT,
            PAYOUT_PAID,
            CHARGED_BACK,
            CHARGEBACK_SETTLED,
            LATER_PAYOUT_PAID,
        ],
    ),
    // A payment that fails late is told of by the same action as one that fails at once.
    payment("payment_late_failure", &[SUBMITTED, CONFIRMED, PAID_OUT, PAYOUT_PAID, FAILED]),
    payment(
        "payment_late_failure_settled",
        &[
            SUBMITTED,
            CONFIRMED,
            PAID_OUT,
            PAYOUT_PAID,
            FAILED,
            LATE_FAILURE_SETTLED,
            LATER_PAYOUT_PAID,
        ],
    ),
    mandate("mandate_activated", &[MANDATE_SUBMITTED, MANDATE_ACTIVE]),
    mandate(
        "mandate_customer_approval_granted",
        &[step(
            "mandates.customer_approval_granted",
            "customer",
            "customer_approval_granted",
            GIVEN,
        )],
    ),
    mandate(
        "mandate_customer_approval_skipped",
        &[step(
            "mandates.customer_approval_skipped",
            "customer",
            "customer_approval_skipped",
            GIVEN,
        )],
    ),
    mandate(
        "mandate_failed",
        &[MANDATE_SUBMITTED, step("mandates.failed", "bank", "invalid_bank_details", GIVEN)],
    ),
    mandate(
        "mandate_expired",
        &[
            MANDATE_SUBMITTED,
            MANDATE_ACTIVE,
            step("mandates.expired", "gocardless", "mandate_expired", GIVEN),
        ],
    ),
    mandate("mandate_transferred", &[MANDATE_SUBMITTED, MANDATE_ACTIVE, MANDATE_TRANSFERRED]),
    mandate(
        "mandate_transferred_with_resubmission",
        &[
            MANDATE_SUBMITTED,
            MANDATE_ACTIVE,
            MANDATE_TRANSFERRED,
            step("mandates.resubmission_requested", "bank", "bank_account_transferred", GIVEN),
            step("mandates.submitted", "bank", "bank_account_transferred", GIVEN),
        ],
    ),
    mandate(
        "mandate_suspended_by_payer",
        &[step("mandates.suspended_by_payer", "bank", "mandate_suspended_by_payer", GIVEN)],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Providers;
    use serde_json::Value;

    #[test]
    fn every_event_of_a_scenario_is_one_that_the_provider_has() {
        let providers = Providers::embedded().unwrap();
        let provider = providers.get("gocardless").unwrap();
        for scenario in SCENARIOS {
            let named = scenario.name.split('_').next().unwrap();
            assert!(matches!(
                (named, scenario.resource),
                ("payment", Resource::Payment) | ("mandate", Resource::Mandate)
            ));
            for Step { event_type, origin, cause, .. } in scenario.steps {
                let wanted = [
                    ("details.origin".to_owned(), (*origin).into()),
                    ("details.cause".to_owned(), (*cause).into()),
                ];
                let sample = provider.sample(event_type, &wanted);
                let data: Value = serde_json::from_str(sample.unwrap().as_str()).unwrap();
                let from_bank = *origin == "bank" && data["details"]["scheme"].is_string();
                let failed = ["failed", "charged_back", "suspended_by_payer"];
                assert_eq!(
                    from_bank,
                    failed.iter().any(|action| event_type.ends_with(action)),
                    "{event_type}: banks refuse in the words of a scheme"
                );
            }
        }
    }
}
