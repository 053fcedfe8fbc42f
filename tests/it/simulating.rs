//! The simulator as a library: seeds, scenarios and faults.

use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver};
use hookwheel::simulate::{End, Fault, FaultChoice, Plan, Report, Simulation, Step};
use hookwheel::{Error, Mode, Secret, Timestamp};
use serde_json::Value;
use std::time::Duration;

const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OLD_SECRET: &str = "ffeeddccbbaa99887766554433221100";

fn at() -> Option<Timestamp> {
    Some(Timestamp::parse("2026-03-01T12:00:00Z").unwrap())
}

fn plan(provider: &str, receiver: &Receiver) -> Plan {
    Plan { speed: 100_000.0, seed: Some(42), ..Plan::new(provider, receiver.url()) }
}

async fn simulate(plan: Plan) -> (Report, Vec<Step>) {
    let mut steps = Vec::new();
    let simulation = Simulation::prepare(plan).await.unwrap();
    let run = simulation.run(std::future::pending(), |step| {
        steps.push(step);
        Ok::<(), Error>(())
    });
    let report = hookwheel::clock::within(Duration::from_secs(120), run).await;
    (report.expect("it ends").unwrap(), steps)
}

async fn refusal(plan: Plan) -> String {
    Simulation::prepare(plan).await.err().expect("it is refused").to_string()
}

fn bytes(requests: &[Received]) -> Vec<(Vec<u8>, Vec<u8>)> {
    requests.iter().map(|request| (request.head.clone(), request.body.clone())).collect()
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Every fault at once, with a receiver that fails now and then.
async fn everything(provider: &str, seed: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    // The port is in every head, so it has to be the same receiver.
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let before = receiver.requests().len();
        receiver.answer_next([Answer::status(503), Answer::status(200), Answer::status(500)]);
        let simulated = Plan {
            seed: Some(seed),
            at: at(),
            count: Some(5),
            // One slow upload will do: it takes real time.
            faults: vec![(FaultChoice::All, 0.4), (FaultChoice::One(Fault::Slow), 0.01)],
            ..plan(provider, &receiver)
        };
        let (report, _) = simulate(simulated).await;
        assert_eq!((report.seed, report.end), (seed, End::Settled));
        runs.push(bytes(&receiver.requests()[before..]));
    }
    let (second, first) = (runs.pop().unwrap(), runs.pop().unwrap());
    assert_eq!(first.len(), second.len(), "{provider}: as many requests");
    for (number, (one, two)) in first.iter().zip(&second).enumerate() {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(600).collect::<String>();
        assert_eq!(text(&one.0), text(&two.0), "{provider}: head {number}");
        assert!(one.1 == two.1, "{provider}: body {number}: {}\n{}", text(&one.1), text(&two.1));
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_sends_the_same_bytes() {
    for provider in ["ticketnation", "gocardless", "standard-webhooks", "citizen-ticket"] {
        let first = everything(provider, 42).await;
        assert!(first.len() > 20, "{provider}: {}", first.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_goes_in_order_with_linked_ids() {
    let receiver = Receiver::start(Consumer::TicketNation, SECRET).await.unwrap();
    receiver.answer_next([Answer::status(503)]);
    let simulated = Plan {
        scenario: Some("order-completed".to_owned()),
        secret: Some(Secret::new(SECRET)),
        overrides: vec![
            ("data.amount".to_owned(), 77.into()),
            ("commission.earned:data.amount".to_owned(), 7.into()),
        ],
        ..plan("ticketnation", &receiver)
    };
    let (report, _) = simulate(simulated.clone()).await;
    assert!(report.is_success(), "{report:?}");
    let requests = receiver.requests();
    let bodies: Vec<Value> = requests.iter().map(body).collect();
    let firsts = bodies
        .iter()
        .enumerate()
        .filter(|(at, this)| bodies[..*at].iter().all(|before| before["id"] != this["id"]));
    let firsts: Vec<&Value> = firsts.map(|(_, body)| body).collect();
    let types: Vec<&str> = firsts.iter().map(|body| body["event"].as_str().unwrap()).collect();
    assert_eq!(types, ["order.created", "order.completed", "commission.earned"]);
    let order = firsts[0]["data"]["orderId"].as_str().unwrap();
    assert!(order.starts_with("ord_") && order.len() == 13, "{order}");
    assert!(firsts.iter().all(|body| body["data"]["orderId"] == order));
    let amounts: Vec<&Value> = firsts.iter().map(|body| &body["data"]["amount"]).collect();
    assert_eq!(amounts, [77, 77, 7]);

    // Another seed is another order.
    simulate(Plan { seed: Some(43), ..simulated }).await;
    let last = body(receiver.requests().last().unwrap());
    assert_ne!(last["data"]["orderId"], order);
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let draws = |seed| Plan { seed: Some(seed), at: at(), ..plan("yoco", &receiver) };
    simulate(draws(1)).await;
    simulate(draws(2)).await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 6);
    let (one, two) = requests.split_at(3);
    for (one, two) in one.iter().zip(two) {
        assert_ne!(one.head, two.head, "another id and another signature");
        assert_ne!(one.body, two.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_of_every_provider_is_accepted() {
    let providers = hookwheel::provider::Providers::embedded().unwrap();
    for provider in providers.iter() {
        let consumer = match provider.name() {
            "citizen-ticket" => Consumer::CitizenTicket,
            "gocardless" => Consumer::GoCardless,
            "opencard" => Consumer::OpenCard,
            "standard-webhooks" => Consumer::StandardWebhooks,
            "ticketnation" => Consumer::TicketNation,
            "yoco" => Consumer::Yoco,
            other => panic!("no consumer of {other}"),
        };
        assert!(!provider.scenarios().is_empty(), "{provider:?} has none");
        for scenario in provider.scenarios() {
            let secret = provider.generate_secret(None).unwrap().secret;
            let receiver = Receiver::start(consumer, secret.expose()).await.unwrap();
            let simulated = Plan {
                scenario: Some(scenario.name.clone()),
                secret: Some(secret),
                ..Plan { speed: 1e7, ..plan(provider.name(), &receiver) }
            };
            let (report, _) = simulate(simulated).await;
            assert!(report.is_success(), "{provider:?} {}: {report:?}", scenario.name);
            assert_eq!(report.events, scenario.steps.len(), "{}", scenario.name);
            assert!(receiver.requests().iter().all(|request| request.verdict.is_accepted()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_consumer_takes_every_fault_and_no_forgery() {
    let receiver = Receiver::start(Consumer::TicketNation, SECRET).await.unwrap();
    let simulated = Plan {
        secret: Some(Secret::new(SECRET)),
        faults: vec![(FaultChoice::All, 1.0), (FaultChoice::One(Fault::Slow), 0.01)],
        event_types: vec!["order.created".to_owned(), "order.completed".to_owned()],
        ..plan("ticketnation", &receiver)
    };
    let (report, steps) = simulate(simulated).await;
    assert!(report.is_success(), "{report:?}");
    let played: Vec<Fault> = report.faults.keys().copied().collect();
    let left_out = [Fault::Stale, Fault::OldSecret, Fault::Batch, Fault::Split];
    let wanted = Fault::ALL.into_iter().filter(|fault| !left_out.contains(fault));
    assert!(wanted.clone().all(|fault| played.contains(&fault)), "{played:?}");
    assert_eq!(played.len(), wanted.count());
    let forgeries = steps.iter().filter(|step| matches!(step, Step::Forgery(_))).count();
    assert_eq!(forgeries, 6, "two events, three ways");
    let cut = &report.faults[&Fault::Cut];
    assert_eq!((cut.requests, cut.answers.get("cut")), (1, Some(&1)), "and it came again");
    assert_eq!(report.faults[&Fault::Slow].requests, 1, "of one upload, one can be seen");
    assert!(report.not_played.is_empty(), "{:?}", report.not_played);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_forgeries_or_refuses_duplicates_fails_the_run() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    for (fault, words) in [
        (Fault::Unsigned, "a forgery was taken for genuine"),
        (Fault::Tampered, "a forgery was taken for genuine"),
        (Fault::WrongSecret, "a forgery was taken for genuine"),
        (Fault::Stale, "a forgery was taken for genuine"),
    ] {
        let faults = vec![(FaultChoice::One(fault), 0.1)];
        let (report, _) = simulate(Plan { faults, ..plan("yoco", &receiver) }).await;
        assert!(!report.is_success());
        assert_eq!(report.accepted, report.events, "{fault}: the genuine ones were accepted");
        assert!(report.wrong[0].contains(words), "{:?}", report.wrong);
    }
    receiver.answer_next([Answer::status(200), Answer::status(409)]);
    let simulated = Plan {
        faults: vec![(FaultChoice::One(Fault::Duplicate), 1.0)],
        count: Some(1),
        ..plan("ticketnation", &receiver)
    };
    let (report, _) = simulate(simulated).await;
    assert!(!report.is_success());
    assert!(report.wrong[0].contains("was answered with 409"), "{:?}", report.wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_replaced_both_or_the_old_one_sign() {
    let providers = hookwheel::provider::Providers::embedded().unwrap();
    let yoco = providers.get("yoco").unwrap();
    let secret = yoco.generate_secret(None).unwrap().secret;
    let receiver = Receiver::start(Consumer::Yoco, secret.expose()).await.unwrap();
    let faults = vec![(FaultChoice::One(Fault::OldSecret), 1.0)];
    let both = Plan { secret: Some(secret), faults: faults.clone(), ..plan("yoco", &receiver) };
    assert!(simulate(both).await.0.is_success());
    for request in receiver.requests() {
        assert_eq!(request.header("webhook-signature").unwrap().split(' ').count(), 2);
    }

    let receiver = Receiver::start(Consumer::TicketNation, SECRET).await.unwrap();
    let switched = Plan {
        secret: Some(Secret::new(SECRET)),
        old_secret: Some(Secret::new(OLD_SECRET)),
        faults: faults.clone(),
        count: Some(1),
        ..plan("ticketnation", &receiver)
    };
    let (report, _) = simulate(switched).await;
    assert_eq!((report.accepted, report.attempts), (1, 2), "the second with the new secret");
    assert!(report.warnings[0].contains("both are valid"), "advice: {report:?}");
    receiver.set_secret(OLD_SECRET);
    let refused = refusal(Plan { faults, ..plan("ticketnation", &receiver) }).await;
    assert!(refused.contains("give the old one too"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_split_ones_are_for_who_batches() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let faults = |fault| vec![(FaultChoice::One(fault), 1.0)];
    let one = |faults| Plan { faults, count: Some(1), ..plan("gocardless", &receiver) };
    let events = |requests: &[Received]| -> Vec<usize> {
        requests.iter().map(|request| body(request)["events"].as_array().unwrap().len()).collect()
    };
    simulate(one(faults(Fault::Batch))).await;
    let batch = events(&receiver.requests());
    assert!(batch.len() == 1 && batch[0] >= 3, "{batch:?}");
    simulate(one(faults(Fault::Split))).await;
    let split = events(&receiver.requests()[1..]);
    assert!(split.len() >= 3 && split.iter().all(|events| *events == 1), "{split:?}");
    let refused = refusal(Plan { faults: faults(Fault::Batch), ..plan("yoco", &receiver) }).await;
    assert!(refused.contains("every event in a webhook of its own"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_of_ones_own_is_read_from_a_file_and_checked() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let of = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Plan {
            scenario: Some(file.to_str().unwrap().to_owned()),
            ..plan("ticketnation", &receiver)
        }
    };
    let good = "[[scenario]]\nname = \"mine\"\ntitle = \"T\"\nsource = \"S\"\n\
        ids = { order = \"o_{base62:6}\" }\n\
        steps = [\n  { type = \"order.created\", set = { orderId = \"{order}!\" } },\n]\n";
    let (report, _) = simulate(of(good)).await;
    assert!(report.is_success());
    let id = body(&receiver.requests()[0])["data"]["orderId"].as_str().unwrap().to_owned();
    assert!(id.starts_with("o_") && id.ends_with('!') && id.len() == 9, "{id}");
    for (wrong, right, words) in [
        ("order.created", "order.cremated", "mine.toml:7:12: `scenario[0].steps[0].type`: "),
        ("{order}!", "{odor}", "`{odor}` is not among the scenario's ids: order"),
        ("steps = [", "stops = [", "mine.toml:6:1: `scenario[0].stops`: unknown field"),
        ("o_{base62:6}", "o_{base99}", "`scenario[0].ids.order`: `o_{base99}` is not a form of id"),
    ] {
        let refused = refusal(of(&good.replace(wrong, right))).await;
        assert!(refused.contains(words), "{refused}");
    }
    let unknown = Plan { scenario: Some("order".to_owned()), ..plan("ticketnation", &receiver) };
    let refused = refusal(unknown).await;
    assert!(refused.contains("known are order-completed, order-failed, test"), "{refused}");
}

fn delivered(steps: &[Step]) -> Vec<(String, hookwheel::EventId, Vec<Fault>)> {
    let told = steps.iter().filter_map(|step| match step {
        Step::Exchange(told) => Some(told),
        _ => None,
    });
    told.map(|told| {
        let (delivery, event_type) = &told.outcome.deliveries[0];
        (event_type.to_string(), delivery.event, told.faults.clone())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_another_order_happened_in_its_own() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    for at in [None, at()] {
        let simulated = Plan {
            at,
            scenario: Some("order-completed".to_owned()),
            faults: vec![(FaultChoice::One(Fault::Reorder), 1.0)],
            ..plan("ticketnation", &receiver)
        };
        let before = receiver.requests().len();
        let (report, steps) = simulate(simulated).await;
        assert!(report.is_success(), "{report:?}");
        let told = delivered(&steps);
        let types: Vec<&str> = told.iter().map(|(event_type, ..)| event_type.as_str()).collect();
        assert_eq!(types, ["order.completed", "order.created", "commission.earned"]);
        assert!(told[1].1 < told[0].1 && told[0].1 < told[2].1, "ids tell when they happened");
        assert_eq!(told[1].2, [Fault::Reorder], "it is the one that comes late");
        assert!(told[0].2.is_empty() && told[2].2.is_empty());
        assert_eq!(report.faults[&Fault::Reorder].requests, 1);
        let times: Vec<Timestamp> = receiver.requests()[before..]
            .iter()
            .map(|request| Timestamp::parse(body(request)["timestamp"].as_str().unwrap()).unwrap())
            .collect();
        assert!(times[1] <= times[0] && times[0] <= times[2], "{times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_was_not_played_is_told_and_fails_who_named_it() {
    let receiver = Receiver::start(Consumer::TicketNation, SECRET).await.unwrap();
    let with = |scenario: Option<&str>, faults: &[(FaultChoice, f64)]| Plan {
        scenario: scenario.map(str::to_owned),
        secret: Some(Secret::new(SECRET)),
        faults: faults.to_vec(),
        ..plan("ticketnation", &receiver)
    };
    let tampered = (FaultChoice::One(Fault::Tampered), 0.01);
    let (report, _) = simulate(with(Some("test"), &[tampered])).await;
    assert_eq!((report.accepted, report.is_success()), (1, false));
    assert_eq!(report.not_played[0].fault, Fault::Tampered);
    assert!(report.not_played[0].reason.contains("test event"), "{:?}", report.not_played);
    let (report, _) = simulate(with(Some("test"), &[(FaultChoice::All, 1.0)])).await;
    assert!(report.is_success() && report.not_played.len() > 9, "only told: {report:?}");

    // Of a single upload, only one of the two can be seen, and the other is not claimed.
    let one = |fault| (FaultChoice::One(fault), 1.0);
    let (report, _) =
        simulate(Plan { count: Some(1), ..with(None, &[one(Fault::Cut), one(Fault::Slow)]) }).await;
    assert_eq!(report.faults.keys().collect::<Vec<_>>(), [&Fault::Cut]);
    assert_eq!((report.not_played[0].fault, report.is_success()), (Fault::Slow, false));
    assert!(report.not_played[0].reason.contains("cut"), "{:?}", report.not_played);

    // Whatever the seed, the one event that can carry it does.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixed.toml");
    let steps = "[{ type = \"order.created\", test = true }, { type = \"order.created\" }]";
    let text = format!("[[scenario]]\nname=\"m\"\ntitle=\"T\"\nsource=\"S\"\nsteps = {steps}\n");
    std::fs::write(&file, text).unwrap();
    for seed in 0..8 {
        let mixed = with(file.to_str(), &[tampered]);
        let (report, _) = simulate(Plan { seed: Some(seed), ..mixed }).await;
        assert!(report.is_success(), "{seed}: {:?}", report.not_played);
        assert_eq!(report.faults[&Fault::Tampered].requests, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_a_mishap_are_neither_refused_nor_taken() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let forged = |answer: Answer| {
        receiver.answer_next([answer]);
        let faults = vec![(FaultChoice::One(Fault::Unsigned), 1.0)];
        simulate(Plan { faults, count: Some(1), ..plan("yoco", &receiver) })
    };
    for (status, tally, success) in
        [(503, (0, 0, 1), true), (403, (1, 0, 0), true), (202, (0, 1, 0), false)]
    {
        let (report, _) = forged(Answer::status(status)).await;
        let judged = report.faults[&Fault::Unsigned].forgeries.unwrap();
        assert_eq!((judged.refused, judged.taken, judged.not_judged), tally, "{status}");
        assert_eq!(report.is_success(), success, "{status}: {report:?}");
        assert_eq!(report.warnings.len(), judged.not_judged);
    }

    // While a secret is replaced, only a refusal says that the old one is not known.
    let simulated = |answer: Answer| {
        receiver.answer_next([answer]);
        simulate(Plan {
            secret: Some(Secret::new(SECRET)),
            old_secret: Some(Secret::new(OLD_SECRET)),
            faults: vec![(FaultChoice::One(Fault::OldSecret), 1.0)],
            count: Some(1),
            ..plan("ticketnation", &receiver)
        })
    };
    assert!(simulated(Answer::status(503)).await.0.is_success());
    assert!(!simulated(Answer::status(401)).await.0.warnings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_only_advises_is_a_warning() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let one = |fault| vec![(FaultChoice::One(fault), 1.0)];
    let citizen = |faults| Plan {
        event_types: vec!["payment.complete".to_owned()],
        faults,
        ..plan("citizen-ticket", &receiver)
    };
    let (report, _) = simulate(citizen(one(Fault::Stale))).await;
    assert!(report.is_success(), "its page recommends: {report:?}");
    assert!(report.warnings[0].contains("a forgery was taken"), "{:?}", report.warnings);
    receiver.answer_next([Answer::status(200), Answer::status(409)]);
    let (report, _) = simulate(citizen(one(Fault::Duplicate))).await;
    assert!(report.is_success() && report.warnings[0].contains("409"), "{report:?}");
    let (report, _) = simulate(citizen(one(Fault::Unsigned))).await;
    assert!(!report.is_success(), "the signature is demanded");

    // An event of a type that nobody knows is refused to the end: advice, as `check` has it.
    let unknown = |types: &str| Plan {
        event_types: vec![types.to_owned()],
        faults: one(Fault::UnknownEvent),
        ..plan("ticketnation", &receiver)
    };
    receiver.answer_next([200, 400, 400, 400, 400].map(Answer::status));
    let (report, steps) = simulate(unknown("order.created")).await;
    assert_eq!((report.accepted, report.exhausted, report.excused), (1, 1, 1));
    assert!(report.is_success() && !report.warnings.is_empty(), "{report:?}");
    let told = delivered(&steps);
    assert!(told[0].2.is_empty(), "the genuine one is as it should be: {told:?}");
    assert!(told[1..].iter().all(|(event_type, _, faults)| {
        event_type == "order.unheard_of" && faults == &[Fault::UnknownEvent]
    }));
    receiver.answer_always(Some(Answer::status(400)));
    let (report, _) = simulate(unknown("order.created")).await;
    assert!(!report.is_success(), "nothing at all was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_are_marked_or_refused_and_test_events_go_once() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let test = |provider: &str| Plan { mode: Mode::Test, ..plan(provider, &receiver) };
    for provider in ["standard-webhooks", "opencard", "gocardless"] {
        let refused = refusal(test(provider)).await;
        assert!(refused.contains("have no mark of trials"), "{refused}");
    }
    let wrong = Plan { event_types: vec!["payment.complete".to_owned()], ..test("citizen-ticket") };
    assert!(refusal(wrong).await.contains("have no mark of trials"));
    simulate(test("citizen-ticket")).await;
    let sent: Vec<Value> = receiver.requests().iter().map(body).collect();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["event_type"], "test");

    // In a run of all types, the test event goes as one: it is not tried again.
    receiver.answer_always(Some(Answer::status(500)));
    let (report, steps) = simulate(plan("citizen-ticket", &receiver)).await;
    assert_eq!((report.exhausted, report.attempts), (2, 7), "once, and six times");
    let tests = delivered(&steps).into_iter().filter(|(event_type, ..)| event_type == "test");
    assert_eq!(tests.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_cannot_be_played_are_refused() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let wrong = [f64::NAN, 0.0, -1.0, 1e300, 1e-20, 1e15, f64::INFINITY, f64::MIN_POSITIVE];
    for number in wrong {
        let refused = refusal(Plan { speed: number, ..plan("yoco", &receiver) }).await;
        assert!(refused.contains("expected 0.001 to 10000000"), "{number}: {refused}");
        let rate = Plan { rate_per_second: Some(number), ..plan("yoco", &receiver) };
        let refused = refusal(rate).await;
        assert!(refused.contains("expected 0.001 to 1000000"), "{number}: {refused}");
    }
    for speed in [0.001, 1e7] {
        let ended = Plan { speed, rate_per_second: Some(1e6), ..plan("yoco", &receiver) };
        assert!(simulate(ended).await.0.is_success(), "{speed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_for_types_that_are_not_there_are_refused_or_told() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let set = |path: &str| Plan {
        overrides: vec![(path.to_owned(), 7.into())],
        event_types: vec!["order.created".to_owned()],
        ..plan("ticketnation", &receiver)
    };
    let refused = refusal(set("order.cremated:amount")).await;
    assert!(refused.contains("known are order.created, order.completed"), "{refused}");
    simulate(set("/a:b")).await;
    assert_eq!(body(&receiver.requests()[0])["data"]["a:b"], 7);
    let notes = |plan| async { Simulation::prepare(plan).await.unwrap().notes().to_vec() };
    assert_eq!(notes(set("order.created:amount")).await, Vec::<String>::new());
    let told = notes(set("order.failed:amount")).await;
    assert_eq!(told, ["no event of type `order.failed` is sent, for which `amount` is set"]);

    // The time on the wire is one that consumers of Yoco refuse, and TicketNation has none.
    let standing = |provider| Plan { at: at(), ..plan(provider, &receiver) };
    assert!(notes(standing("yoco")).await[0].contains("more than 3 min from their own time"));
    assert!(notes(standing("ticketnation")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_ones_own_go_with_everything_and_are_masked() {
    let receiver = Receiver::start(Consumer::OpenCard, SECRET).await.unwrap();
    let headers = vec![("Authorization".to_owned(), Secret::new("Bearer t0ken"))];
    let with = |headers| Plan {
        headers,
        secret: Some(Secret::new(SECRET)),
        faults: vec![(FaultChoice::One(Fault::Unsigned), 1.0)],
        count: Some(1),
        ..plan("opencard", &receiver)
    };
    let (report, steps) = simulate(with(headers.clone())).await;
    assert!(report.is_success(), "{report:?}");
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "a challenge, a forgery and an event");
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"), "{}", request.method);
    }
    assert!(!format!("{steps:?} {:?}", with(headers)).contains("t0ken"));
    for (name, words) in [("Content-Length", "reserved"), ("a b", "is not one")] {
        let refused = refusal(with(vec![(name.to_owned(), Secret::new("t0ken"))])).await;
        assert!(refused.contains(words) && !refused.contains("t0ken"), "{refused}");
    }
    let url = receiver.url().replace("://", "://me:t0ken@");
    let refused = refusal(Plan { url, ..plan("yoco", &receiver) }).await;
    assert!(refused.contains("`Authorization: Basic …`"), "{refused}");
    assert!(!refused.contains("t0ken"), "{refused}");
}
