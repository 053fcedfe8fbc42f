//! A small ticket shop with hookwheel inside. It sells tickets, tells the organiser of each sale by
//! webhook, and shows the organiser what became of every one.
//!
//! `cargo run --example ticketing_platform` plays an evening on which the organiser's server is
//! busy at first. Everything stays on this machine, and the schedule's minute lasts a second.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    ApplicationId, Attempt, AttemptOutcome, Clock, CreatedEndpoint, DeliveryFilter,
    DeliveryHistory, DeliveryId, EndpointId, Engine, NewApplication, NewEndpoint, NewEvent,
    Outcomes,
};
use serde::Serialize;
use std::error::Error;
use std::path::Path;

/// An order as the shop's webhooks describe it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Order<'a> {
    order_id: &'a str,
    show: &'a str,
    amount: u32,
    currency: &'a str,
    status: &'a str,
}

/// The shop. A real one has a database beside the engine; here the engine is all there is.
struct TicketShop {
    engine: Engine,
}

impl TicketShop {
    /// Opens the shop, and with it what a former run left to be delivered.
    async fn open(data: &Path) -> hookwheel::Result<Self> {
        let engine = Engine::builder()
            .data_folder(data)
            // These two lines are for the example; a shop in production has neither.
            .development()
            .clock(Clock::faster(60.0))
            .open()
            .await?;
        Ok(Self { engine })
    }

    /// Takes on an organiser.
    async fn join(&self, name: &str) -> hookwheel::Result<ApplicationId> {
        Ok(self.engine.create_application(NewApplication::new(name)).await?.id)
    }

    /// Registers where an organiser wants to be told of orders.
    async fn tell(
        &self,
        organiser: ApplicationId,
        url: &str,
    ) -> hookwheel::Result<CreatedEndpoint> {
        let endpoint = NewEndpoint::new(url).provider("ticketnation").events(["order.*"]);
        self.engine.create_endpoint(organiser, endpoint).await
    }

    /// Sells tickets. When this returns, the event is on disk: it will be delivered, even if the
    /// shop crashes now. Under the same order id it is accepted once, so a sale may be retried.
    async fn sell(
        &self,
        organiser: ApplicationId,
        order_id: &str,
        show: &str,
    ) -> hookwheel::Result<Vec<DeliveryId>> {
        let order = Order { order_id, show, amount: 4500, currency: "EUR", status: "COMPLETED" };
        let event = NewEvent::new(organiser, "order.completed", &order)?
            .idempotency_key(format!("{order_id}-completed"));
        let emitted = self.engine.emit(event).await?;
        if let Some(reason) = emitted.reach.explain() {
            println!("  nobody hears of {order_id}: {reason}");
        }
        Ok(emitted.deliveries)
    }

    /// The organiser's page "Recent deliveries": the newest first, each with all its attempts.
    async fn show_deliveries(&self, endpoint: EndpointId) -> hookwheel::Result<()> {
        let page = self.engine.deliveries(DeliveryFilter::endpoint(endpoint)).await?;
        for delivery in page.deliveries {
            print(&self.engine.delivery(delivery.id).await?);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let shop = TicketShop::open(&folder.path().join("hookwheel-data")).await?;

    // The organiser's server: it checks signatures as TicketNation's page tells it to.
    let server = Receiver::start(Consumer::TicketNation, "").await?;
    let organiser = shop.join("Night Owl Events").await?;
    let endpoint = shop.tell(organiser, &server.url()).await?;
    server.set_secret(endpoint.secret.expose());
    let mut outcomes = shop.engine.outcomes();

    println!("Two orders, and the organiser's server is busy when the first one arrives:");
    server.answer_next([Answer::status(503).body("busy")]);
    let mut sold = shop.sell(organiser, "ord_1001", "Owls in Concert").await?;
    sold.extend(shop.sell(organiser, "ord_1002", "Owls in Concert").await?);
    follow(&mut outcomes, sold.clone()).await;

    println!("\nWhat the organiser sees of them:");
    shop.show_deliveries(endpoint.endpoint.id).await?;

    println!("\nThe organiser lost ord_1001 and asks for it again:");
    for lost in sold.iter().take(1) {
        shop.engine.replay(*lost).await?;
        follow(&mut outcomes, vec![*lost]).await;
        print(&shop.engine.delivery(*lost).await?);
    }
    let known = server.requests().iter().filter(|request| request.duplicate).count();
    println!("\nBy the event's id the server can tell that it had {known} of these before.");
    shop.engine.close().await?;
    Ok(())
}

/// Prints what comes of each attempt, until one of every delivery in `open` has succeeded.
async fn follow(outcomes: &mut Outcomes, mut open: Vec<DeliveryId>) {
    while !open.is_empty()
        && let Some(outcome) = outcomes.next().await
    {
        print_attempt(&outcome.attempt);
        if outcome.attempt.outcome.is_success() {
            open.retain(|id| outcome.deliveries.iter().all(|(held, _)| held != id));
        }
    }
}

fn print(history: &DeliveryHistory) {
    let DeliveryHistory { delivery, event, attempts, .. } = history;
    println!("  {} {}: {}", event.event_type, event.data.as_str(), delivery.state.as_str());
    attempts.iter().for_each(print_attempt);
}

fn print_attempt(attempt: &Attempt) {
    let answer = match &attempt.outcome {
        AttemptOutcome::Accepted(answer) => format!("accepted with {}", answer.status),
        AttemptOutcome::Rejected(answer) => format!("refused with {}", answer.status),
        AttemptOutcome::Failed(failure) => failure.to_string(),
    };
    let (number, trigger) = (attempt.number, attempt.trigger.as_str());
    println!("    attempt {number} ({trigger}) at {}: {answer}", attempt.started_at);
}
