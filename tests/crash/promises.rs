//! What was promised and what was seen, over all lives.

use crate::life::Life;
use crate::shop::{ROTATED, Shop};
use hmac::{Hmac, KeyInit, Mac};
use hookwheel::simulate::receiver::Received;
use hookwheel::{DeliveryId, EventId, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A webhook on the wire: the number of its endpoint, and its id there.
pub type Wire = (usize, String);

/// What was seen of a webhook.
#[derive(Default)]
pub struct Seen {
    /// A digest of what lasts of its body.
    pub content: Option<[u8; 32]>,
    /// How often it arrived in each life.
    pub times: BTreeMap<usize, usize>,
}

/// The promises of all lives so far, and what the receivers saw.
#[derive(Default)]
pub struct Promises {
    /// When each life was.
    pub lives: Vec<(Timestamp, Timestamp)>,
    /// Events whose emit returned, by their idempotency keys.
    pub acked: BTreeMap<String, EventId>,
    /// Deliveries whose replay was acknowledged.
    pub replayed: BTreeSet<DeliveryId>,
    /// Every webhook that arrived.
    pub seen: BTreeMap<Wire, Seen>,
    /// What arrived since it was last looked at.
    pub newly_seen: BTreeSet<Wire>,
    /// Keys that were acknowledged since it was last looked at.
    pub newly_acked: Vec<String>,
    /// The rotated secret may be any of these: the last that is known to have taken over, and those
    /// that were about to.
    pub secrets: Vec<String>,
    pub kills_while_opening: usize,
    pub requests: usize,
    pub rotations: usize,
}

impl Promises {
    pub fn new(shop: &Shop) -> Self {
        Self { secrets: vec![shop.first_secret().to_owned()], ..Self::default() }
    }

    /// Takes in what a life brought.
    pub fn take(&mut self, shop: &Shop, life: Life) {
        let number = self.lives.len();
        self.lives.push(life.span.unwrap());
        self.kills_while_opening += usize::from(life.killed_while_opening);
        for (key, event) in life.acked {
            self.newly_acked.push(key.clone());
            assert_eq!(self.acked.insert(key, event), None, "a key was acknowledged twice");
        }
        self.replayed.extend(life.replayed);
        // What arrived in this life was signed with what it began with, or came to.
        let mut signing = self.secrets.clone();
        signing.extend(life.rotations.iter().map(|(secret, _)| secret.clone()));
        for (secret, took_over) in life.rotations {
            if took_over {
                self.secrets.clear();
                self.rotations += 1;
            }
            self.secrets.push(secret);
        }
        for (endpoint, requests) in life.seen.into_iter().enumerate() {
            for (at, request) in (1..).zip(requests) {
                assert_eq!(request.number, at, "the receiver remembers all of a life");
                if endpoint == ROTATED {
                    assert!(is_signed(&request, &signing), "signed with no secret of its endpoint");
                }
                self.arrived(shop, number, endpoint, &request);
            }
        }
    }

    fn arrived(&mut self, shop: &Shop, life: usize, endpoint: usize, request: &Received) {
        assert!(request.verdict.is_accepted(), "{}", request.verdict);
        let door = &shop.doors[endpoint];
        let id = door.wire_id(|name| request.header(name).map(str::to_owned), &request.body);
        let content = digest(&door.lasting(&request.body));
        let wire = (endpoint, id);
        let seen = self.seen.entry(wire.clone()).or_default();
        let first = *seen.content.get_or_insert(content);
        assert_eq!(first, content, "the body of {wire:?} changed between attempts");
        *seen.times.entry(life).or_default() += 1;
        self.newly_seen.insert(wire);
        self.requests += 1;
    }

    /// The life in which something happened.
    pub fn life_at(&self, time: Timestamp) -> usize {
        let life = self.lives.iter().rposition(|(began, _)| *began <= time);
        life.filter(|life| time <= self.lives[*life].1).expect("it happened in some life")
    }
}

pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether TicketNation's header fits one of `secrets`, by what its page says.
fn is_signed(request: &Received, secrets: &[String]) -> bool {
    let given = request.header("X-TN-Signature").unwrap();
    // The newest first: it is nearly always the one.
    secrets.iter().rev().any(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&request.body);
        let signature = mac.finalize().into_bytes();
        signature.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == given
    })
}
