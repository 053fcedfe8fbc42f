//! Every store keeps the same promises: one suite that runs unchanged on each of them, the same
//! random history told to all of them, and what the embedded one has to withstand besides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may fail"
)]

mod accepting;
mod attempting;
mod damage;
mod disk;
mod expiring;
mod expunging;
mod faults;
mod folder;
mod forming;
mod growing;
mod halves;
mod keeping;
mod listing;
mod queueing;
mod random;
mod recording;
mod sharing;
mod telling;
mod world;

/// The conformance suite for one store: how an empty one is opened.
macro_rules! conformance {
    ($store:ident) => {
        mod $store {
            conformance! { $store:
                accepting::what_was_accepted_is_read_back
                accepting::a_batch_holds_events_attempts_and_changes_together
                accepting::deliveries_are_found_in_their_places
                accepting::fresh_deliveries_leave_by_every_way
                accepting::a_failed_replay_leaves_a_fresh_delivery_where_it_was
                accepting::an_attempt_recorded_twice_counts_for_one_delivery
                accepting::idempotency_keys_are_known_by_application
                accepting::uids_name_events_by_application
                accepting::large_data_comes_back_whole
                accepting::new_ids_start_above_all_that_are_there
                accepting::directory_and_key_check_are_kept
                keeping::documents_are_kept_by_kind_and_key
                keeping::documents_are_listed_by_key_in_pages
                keeping::documents_of_any_size_replace_each_other
                recording::every_state_is_recorded_and_folded
                recording::attempts_come_back_as_they_were
                recording::an_attempt_recorded_twice_is_one_attempt
                recording::large_bodies_come_back_whole
                recording::the_exhausted_are_listed_until_they_are_not
                recording::a_replay_goes_beside_the_schedule
                recording::a_test_event_without_attempt_is_exhausted
                queueing::a_queue_is_in_order_of_due_time
                queueing::a_webhook_has_one_replay_in_a_queue
                queueing::a_page_of_a_queue_tells_what_is_due_next
                queueing::everything_that_waits_is_found
                queueing::progress_stays_beside_its_place
                queueing::an_item_leaves_its_queue_alone
                expunging::an_expunged_event_keeps_its_history_without_contents
                expunging::what_is_under_way_is_not_expunged
                expunging::one_attempt_is_expunged_by_itself
                expunging::attempts_of_a_set_go_with_each_of_its_events
                expunging::nothing_of_an_expunged_event_is_recorded_or_sent_later
                expunging::an_event_whose_expunging_ended_early_shows_nothing_and_is_expunged_again
                expunging::an_attempt_that_is_recorded_again_is_expunged_in_both_places
                forming::a_formed_webhook_carries_its_events_on
                forming::attempts_belong_to_every_event_of_the_set
                forming::a_set_goes_on_without_what_expired
                listing::events_are_listed_newest_first_in_pages
                listing::ten_thousand_events_are_listed_over_all_pages
                listing::events_are_listed_oldest_first_in_pages
                listing::what_happened_is_told_for_many_events_at_once
                listing::a_delivery_that_is_added_later_is_like_the_others
                attempting::attempts_are_listed_in_the_order_they_were_recorded
                attempting::a_large_commit_of_several_events_is_listed_once_in_any_pages
                attempting::attempts_of_an_event_and_of_a_set_are_found
                attempting::an_attempt_that_is_recorded_again_is_listed_once
                attempting::attempts_go_with_their_events
                growing::what_is_sent_again_without_end_is_told_in_order
                growing::it_is_expunged_and_expires_with_its_event
                expiring::the_finished_and_old_go_with_all_that_is_theirs
                expiring::the_unfinished_stay_however_old
                expiring::a_page_is_thinned_out
                expiring::a_formed_webhook_stays_as_long_as_one_of_its_events
                expiring::idempotency_keys_have_their_own_time
                expiring::uids_are_free_again_with_their_events
                expiring::applications_have_their_own_times
                expiring::a_long_queue_of_a_deleted_endpoint_goes_in_steps
                expiring::a_deleted_application_goes_with_its_last_event_and_endpoint
                expiring::what_expired_meanwhile_is_not_sent
                expiring::a_deleted_endpoint_goes_with_its_last_event
            }
        }
    };
    ($store:ident: $($file:ident::$case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let subject = crate::world::$store();
                crate::$file::$case(&*subject.store);
            }
        )*
    };
}

conformance!(memory);
conformance!(sled);
