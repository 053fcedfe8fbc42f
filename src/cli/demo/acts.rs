//! What happens to each customer, and what is promised of it.

use crate::cli::demo::narrator::clock_face;
use crate::cli::demo::stage::{Customer, Played, Promise, Stage};
use crate::engine::TestEvent;
use crate::error::{Error, Result};
use crate::model::{DeliveryId, DeliveryState, human_duration};
use crate::simulate::receiver::{Answer, Consumer};
use std::time::Duration;

/// Plays all acts, at once, and gives what came of each.
pub async fn all(stage: Stage) -> Result<Vec<Played>> {
    let stage = &stage;
    let (yoco, opencard, citizen_ticket, ticketnation, gocardless, standard) = tokio::try_join!(
        yoco(stage),
        opencard(stage),
        citizen_ticket(stage),
        ticketnation(stage),
        gocardless(stage),
        standard_webhooks(stage),
    )?;
    Ok(vec![yoco, opencard, citizen_ticket, ticketnation, gocardless, standard])
}

fn promise(kept: bool, text: impl Into<String>) -> Promise {
    Promise { text: text.into(), kept }
}

/// A receiver that is broken for longer than the provider tries: the whole ladder, then a replay.
async fn yoco(stage: &Stage) -> Result<Played> {
    let mut customer = stage.customer(Consumer::Yoco, |endpoint| endpoint).await?;
    let refunds = customer.emit(&["refund.succeeded", "refund.failed"]).await?;
    customer.until_final(&refunds).await?;
    customer.say("a release breaks the receiver");
    customer.receiver.answer_always(Some(Answer::status(503)));
    let payment = customer.emit(&["payment.succeeded"]).await?;
    customer.until_final(&payment).await?;
    let Some(payment) = payment.first().copied() else { return Ok(customer.bow(Vec::new())) };
    let given_up = matches!(customer.states().get(&payment), Some(DeliveryState::Exhausted { .. }));
    let attempts = customer.seen.len() - refunds.len();
    let delays = customer.delays(payment);
    customer.say("the receiver is mended; the payment is sent again by hand");
    customer.receiver.answer_always(None);
    stage.engine.replay(payment).await?;
    customer.until(|customer| has_arrived(customer, payment)).await?;
    let ladder = customer.provider.schedule().delays();
    let exact = given_up && delays == ladder && attempts == ladder.len() + 1;
    let total = clock_face(ladder.iter().sum());
    let text =
        format!("Yoco: {attempts} attempts over {total}, each delay exact; then a replay by hand");
    Ok(customer.bow(vec![promise(exact, text)]))
}

/// A receiver that is down: parked, probed with the challenge, then served in order.
async fn opencard(stage: &Stage) -> Result<Played> {
    let mut customer = stage.customer(Consumer::OpenCard, |endpoint| endpoint).await?;
    customer.say("the new endpoint has answered its challenge; then it goes down");
    customer.receiver.stop().await;
    let mut deliveries = customer.emit(&["tpa.signed"]).await?;
    customer.until(|customer| customer.seen.iter().any(|outcome| outcome.parks())).await?;
    let failed = customer.seen.len();
    let parked = customer.is_parked();
    customer.say(format!("parked after {failed} attempts: what comes now waits in its queue"));
    let rest = [
        "invoice.created",
        "card_holder.created",
        "card.transaction.authorized",
        "receipt.fetched",
    ];
    deliveries.extend(customer.emit(&rest).await?);
    stage.hour(10).await;
    let mut arrivals = customer.receiver.on_received();
    let resumed = customer.receiver.resume().await;
    resumed.map_err(|error| Error::unavailable(format!("the port is taken: {error}")))?;
    customer.say("up again; the next challenge will find it");
    let probed = arrivals.recv().await.is_ok_and(|request| request.method == "GET");
    customer.say("challenge answered: the queue goes out in order");
    customer.until_final(&deliveries).await?;
    let requests = customer.receiver.requests();
    let arrived: Vec<&str> = requests.iter().filter_map(|held| held.header("X-Event")).collect();
    let in_order = arrived.first() == Some(&"tpa.signed") && arrived.get(1..) == Some(&rest[..]);
    let text = "OpenCard: parked while down, found by its challenge, served in order";
    Ok(customer.bow(vec![promise(failed == 4 && parked && probed && in_order, text)]))
}

/// A receiver that works, and says so too late.
async fn citizen_ticket(stage: &Stage) -> Result<Played> {
    let mut customer = stage.customer(Consumer::CitizenTicket, |endpoint| endpoint).await?;
    stage.hour(2).await;
    let timeout = customer.provider.timeout();
    let late = Answer::status(200).after(timeout + Duration::from_secs(1));
    customer.receiver.answer_next([late]);
    let allowed = human_duration(timeout);
    customer.say(format!("its receiver does the work, but does not answer within {allowed}"));
    let payment = customer.emit(&["payment.complete"]).await?;
    customer.until_final(&payment).await?;
    let duplicates = customer.receiver.requests().iter().filter(|held| held.duplicate).count();
    let text = "Citizen Ticket: sent again with the same id, so the receiver knew it";
    let mut promises = vec![promise(duplicates == 1, text)];
    let test = send_test(&mut customer, TestEvent::default()).await?;
    promises.push(promise(test, "Citizen Ticket: its test event arrived"));
    Ok(customer.bow(promises))
}

/// Failures of two kinds, and an event that nobody wants.
async fn ticketnation(stage: &Stage) -> Result<Played> {
    let wanted = ["order.*", "commission.earned"];
    let mut customer =
        stage.customer(Consumer::TicketNation, |endpoint| endpoint.events(wanted)).await?;
    stage.hour(5).await;
    customer.receiver.answer_next([Answer::status(502), Answer::close()]);
    let first = customer.emit(&["order.created"]).await?;
    customer.until_final(&first).await?;
    let rest = customer.emit(&["order.completed", "order.failed", "commission.earned"]).await?;
    customer.until_final(&rest).await?;
    let unwanted = customer.emit_unasked("venue.closed").await?;
    let why = unwanted.reach.explain();
    let explained = unwanted.deliveries.is_empty() && why.is_some();
    customer.say(format!("venue.closed reaches nobody: {}", why.unwrap_or_default()));
    let delays = first.first().map(|first| customer.delays(*first)).unwrap_or_default();
    let ladder = customer.provider.schedule().delays();
    let on_time = delays.len() == 2 && ladder.starts_with(&delays);
    Ok(customer.bow(vec![
        promise(on_time, "TicketNation: tried again after 30 s and 5 min"),
        promise(explained, "TicketNation: an event that nobody wants is on record, with why"),
    ]))
}

/// Many events in one webhook, whose set stays the same when it is sent again.
async fn gocardless(stage: &Stage) -> Result<Played> {
    let mut customer = stage.customer(Consumer::GoCardless, |endpoint| endpoint).await?;
    stage.hour(9).await;
    customer.receiver.answer_next([Answer::status(500)]);
    let types: Vec<String> = customer.provider.event_types().map(ToString::to_string).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let deliveries = customer.emit(&types).await?;
    customer.until_final(&deliveries).await?;
    let requests = customer.receiver.requests();
    let same = match requests.as_slice() {
        [first, second] => first.body == second.body && second.event_ids.len() == types.len(),
        _ => false,
    };
    let text = format!("GoCardless: {} events in one webhook, the same set twice", types.len());
    let mut promises = vec![promise(same, text)];
    let test = TestEvent::of("mandates.cancelled").with("details.cause", "bank_account_closed");
    let test = send_test(&mut customer, test).await?;
    promises.push(promise(test, "GoCardless: a test event with a chosen cause arrived"));
    Ok(customer.bow(promises))
}

/// A receiver that asks for time, and a secret that is replaced while both are valid.
async fn standard_webhooks(stage: &Stage) -> Result<Played> {
    let mut customer = stage.customer(Consumer::StandardWebhooks, |endpoint| endpoint).await?;
    stage.hour(13).await;
    customer.receiver.answer_next([Answer::status(429).header("Retry-After", "1800")]);
    customer.say("the receiver asks for half an hour: `Retry-After: 1800`");
    let first = customer.emit(&["contact.created"]).await?;
    customer.until_final(&first).await?;
    let asked = Duration::from_secs(1800);
    let heeded = first.first().is_some_and(|first| customer.delays(*first) == [asked]);
    let overlap = Duration::from_secs(86_400);
    let new = stage.engine.rotate_secret(customer.endpoint.id, None, overlap).await?;
    customer.say("a new secret; for a day the old one signs as well");
    let second = customer.emit(&["example.event"]).await?;
    customer.until_final(&second).await?;
    customer.receiver.set_secret(new.expose());
    customer.say("the receiver takes the new secret");
    let third = customer.emit(&["contact.created"]).await?;
    customer.until_final(&third).await?;
    let requests = customer.receiver.requests();
    let signatures =
        requests.iter().rev().take(2).filter_map(|held| held.header("webhook-signature"));
    let both = signatures.map(|held| held.split(' ').count()).eq([2, 2]);
    Ok(customer.bow(vec![
        promise(heeded, "Standard Webhooks: `Retry-After` was heeded"),
        promise(
            both,
            "Standard Webhooks: old and new secret both held while one replaced the other",
        ),
    ]))
}

fn has_arrived(customer: &Customer<'_>, delivery: DeliveryId) -> bool {
    matches!(customer.states().get(&delivery), Some(DeliveryState::Succeeded { .. }))
}

async fn send_test(customer: &mut Customer<'_>, test: TestEvent) -> Result<bool> {
    let before = customer.seen.len();
    let attempt = customer.stage.engine.test(customer.endpoint.id, test).await?;
    customer.until(|customer| customer.seen.len() > before).await?;
    Ok(attempt.outcome.is_success())
}
