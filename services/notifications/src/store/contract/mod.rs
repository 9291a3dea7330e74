//! What every adapter must do. An adapter joins with one line: `crate::store_contract!(make)`, where `make` gives a
//! [`Fresh`] store.

mod announcements;
mod broadcasts;
mod delivery;
mod instead;
mod intake;
mod kit;
mod lists;
mod preferences;
mod reminders;
mod tracking;
mod unpaid;
mod unreadable;
mod wordings;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use test_kit::damage::Damager;

pub use self::{
    announcements::*, broadcasts::*, delivery::*, instead::*, intake::*, lists::*, preferences::*,
    reminders::*, tracking::*, unpaid::*, unreadable::*, wordings::*,
};
use super::Store;

/// A new, empty store.
pub struct Fresh {
    /// The store.
    pub store: Arc<dyn Store>,
    /// A second way to the same data, as another process has.
    pub other: Arc<dyn Store>,
    /// Damages rows.
    pub damager: Damager,
    /// The adapter's own checks after a test's run; keeps alive what the stores need.
    pub finish: Box<dyn FnOnce() -> BoxFuture<'static, ()>>,
}

/// Lists every test once.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract!($make;
            a_choice_is_kept_until_the_next, letters_are_queued_as_their_readers_want,
            a_provider_reports_by_its_own_name, a_report_may_come_before_the_worker_s, what_was_given_up_is_sent_again,
            a_message_has_its_effect_once, an_id_counts_once_whatever_comes_with_it,
            a_deleted_account_is_written_to_no_more,
            letters_are_not_queued_twice, a_letter_about_an_event_brings_its_facts, registering_again_is_told_again,
            reminders_are_planned_and_found_in_order, no_reminder_after_its_time, an_end_drops_reminders,
            a_late_confirmation_does_not_bring_back_an_end, the_highest_version_wins,
            a_decision_stands_once, a_late_decision_is_void, a_reminder_moves_by_decision,
            a_change_reaches_all_attendees_once, a_newer_change_starts_again, a_cancelled_event_drops_reminders,
            an_unimportant_change_is_not_announced, who_knows_the_change_is_not_told,
            reminders_follow_the_event, other_reminders_are_planned_for_who_is_in_already, claims_are_taken_once, an_expired_lease_is_taken_over,
            a_clock_put_back_holds_no_message,
            a_late_report_is_refused, retries_wait_and_end, a_permanent_failure_ends, returned_claims_do_not_count,
            tries_cut_short_end, nothing_is_sent_after_its_time, what_is_withdrawn_in_flight_is_not_tried_again,
            channels_do_not_mix, the_longest_due_goes_first, a_users_list_is_paged, a_reader_marks_what_was_read, a_provider_s_list_is_paged,
            times_keep_milliseconds, any_text_survives, an_empty_batch_is_fine, a_large_batch_is_fine,
            purging_forgets_only_what_is_old, it_can_be_pinged,
            a_decline_is_told_after_a_while_and_in_its_newest_words, who_pays_is_told_of_no_decline,
            an_expired_hold_is_told_once_and_in_place_of_a_decline, who_has_cancelled_is_told_of_nothing_unpaid,
            an_unreadable_letter_fails_alone, a_letter_whose_event_cannot_be_read_fails_alone,
            a_list_leaves_out_what_it_cannot_read, a_provider_s_list_leaves_out_what_it_cannot_read,
            an_unreadable_reminder_is_dropped_alone, an_unreadable_announcement_is_left_alone,
            an_announcement_reads_back_and_is_listed, an_organizer_announces_so_often_in_a_day,
            a_key_makes_one_announcement, an_announcement_goes_step_by_step_and_to_everybody_once,
            a_delayed_announcement_lets_others_pass, nobody_is_written_to_after_the_end, a_withdrawn_announcement_is_not_sent, who_wants_no_announcements_gets_none,
            an_event_writes_to_one_so_often_in_a_day,
            an_event_s_words_are_kept_by_kind_until_others_are, a_letter_keeps_the_words_that_it_was_written_with,
            reminders_have_an_event_s_words_too, words_go_with_their_organizer, a_key_sets_words_once,
            an_e_mail_takes_the_place_of_a_lost_text_message_once, a_report_of_a_lost_text_message_has_an_e_mail_sent,
            a_text_message_that_is_given_up_has_an_e_mail_sent, no_e_mail_takes_its_place_where_none_is_wanted,
            two_who_set_words_at_once_leave_one, unreadable_words_stop_no_letter,
            what_is_heard_of_an_event_takes_the_place_of_what_cannot_be_read,
        );
    };
    ($make:path; $($test:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $test() {
            let fresh: $crate::store::contract::Fresh = $make().await;
            $crate::store::contract::$test(&fresh).await;
            (fresh.finish)().await;
        }
    )+};
}
