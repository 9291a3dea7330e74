//! Checking the ledger: for every payment, what was captured, what it confirmed, what was refunded and what is still to
//! be refunded, and whether events and Razorpay agree.

use common::{
    ids::{PaymentId, RegistrationId},
    money::Paise,
};

use super::{
    payment::{Payment, Status},
    refund::{Balance, Entry, EntryStatus},
};

/// A payment with its refunds, as payments has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The payment.
    pub payment: Payment,
    /// Whether it paid its order.
    pub pays: bool,
    /// How much our duty sends back in all, whether that is done or not; `None`: there is none.
    pub duty: Option<Paise>,
    /// Whether that refund is outstanding.
    pub owed: bool,
    /// Its refunds at Razorpay.
    pub entries: Vec<Entry>,
}

impl Line {
    /// The balance of its money.
    pub fn balance(&self) -> Balance {
        let captured = match self.payment.status >= Status::Captured {
            true => self.payment.amount,
            false => Paise::ZERO,
        };
        Balance::of(captured, &self.entries)
    }

    /// The balance of what is to be back: the duty's amount, or all when there is none.
    fn to_go_back(&self) -> Balance {
        let balance = self.balance();
        balance.towards(self.duty.unwrap_or(balance.amount))
    }

    /// What is still to be sent back.
    pub fn outstanding(&self) -> Paise {
        match self.owed {
            true => self.to_go_back().left(),
            false => Paise::ZERO,
        }
    }

    /// What this service has sent back for its duty, as far as it has not failed.
    fn sent(&self) -> Paise {
        let ours = self.entries.iter().filter(|entry| entry.refund_id.is_some());
        let sent = ours.filter(|entry| entry.status != EntryStatus::Failed);
        Paise(sent.map(|entry| entry.amount.0).sum())
    }
}

/// A registration that a payment has confirmed, as events has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidRegistration {
    /// The registration.
    pub registration: RegistrationId,
    /// The payment.
    pub payment: PaymentId,
    /// Whether it is still confirmed.
    pub confirmed: bool,
}

/// A payment as Razorpay has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtRazorpay {
    /// Whether it was captured.
    pub captured: bool,
    /// The amount.
    pub amount: Paise,
    /// The sum of its refunds that have not failed.
    pub refunded: Paise,
}

/// The differences of a payment, as text for the operator; empty when all agrees. `bought`: what it has confirmed
/// according to events. `razorpay`: `None` when Razorpay does not have it.
pub fn differences(
    line: &Line,
    bought: Option<&PaidRegistration>,
    razorpay: Option<&AtRazorpay>,
) -> Vec<String> {
    let balance = line.balance();
    let captured = balance.amount > Paise::ZERO;
    let confirmed = bought.filter(|bought| bought.confirmed);
    let mut found = Vec::new();
    let mut differs = |when: bool, what: String| {
        if when {
            found.push(what);
        }
    };
    let status = line.payment.status.name();
    if let Some(bought) = confirmed {
        differs(
            !captured || balance.is_back(),
            format!(
                "registration {} is confirmed by it, and its money is not ours ({status})",
                bought.registration
            ),
        );
        differs(
            !line.pays,
            format!(
                "registration {} is confirmed by it, and it has not paid its order",
                bought.registration
            ),
        );
        differs(
            line.duty.is_some() && !balance.is_back(),
            format!(
                "registration {} is confirmed by it, and {} of it is to go back",
                bought.registration,
                line.duty.unwrap_or_default()
            ),
        );
    } else {
        let to_go_back = line.to_go_back();
        differs(
            captured && !to_go_back.is_back() && !line.owed,
            format!(
                "{} was captured, has confirmed no registration, and nobody sends it back",
                to_go_back.left()
            ),
        );
    }
    differs(
        captured && (line.payment.status == Status::Refunded) != balance.is_back(),
        format!(
            "it is {status}, and {} of {} is back",
            balance.processed, balance.amount
        ),
    );
    differs(
        balance.gone() > balance.amount,
        format!(
            "more goes back ({}) than was captured ({})",
            balance.gone(),
            balance.amount
        ),
    );
    // What others send back beside a part is their decision.
    let part = line.duty.filter(|duty| *duty < balance.amount);
    differs(
        part.is_some_and(|part| line.sent() > part),
        format!(
            "we send back {}, and {} was to go back",
            line.sent(),
            part.unwrap_or_default()
        ),
    );
    match razorpay {
        None => differs(
            true,
            format!("Razorpay does not have it ({})", line.payment.razorpay_id),
        ),
        Some(there) => {
            differs(
                there.captured != captured,
                format!(
                    "it is {status} here, and {} at Razorpay",
                    if there.captured {
                        "captured"
                    } else {
                        "not captured"
                    }
                ),
            );
            differs(
                captured && there.captured && there.amount != balance.amount,
                format!(
                    "{} was captured here, {} at Razorpay",
                    balance.amount, there.amount
                ),
            );
            let back = balance.gone();
            differs(
                captured && there.refunded != back,
                format!("{back} goes back here, {} at Razorpay", there.refunded),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use common::{
        clock::from_millis,
        ids::{OrderId, RefundId},
    };

    use super::*;
    use crate::domain::detail::Detail;

    fn line(status: Status, back: &[(i64, EntryStatus)], owed: bool) -> Line {
        let id = PaymentId::new();
        let entry = |(index, (paise, status)): (usize, &(i64, EntryStatus))| Entry {
            id: format!("rfnd_{index}"),
            payment_id: id,
            refund_id: Some(RefundId::new()),
            amount: Paise(*paise),
            status: *status,
            created_at: from_millis(0),
            processed_at: None,
            failed_at: None,
        };
        Line {
            payment: Payment {
                id,
                order_id: OrderId::new(),
                razorpay_id: "pay_1".to_owned(),
                method: "upi".to_owned(),
                amount: Paise(500),
                status,
                decline: None,
                created_at: from_millis(0),
                captured_at: None,
                released_at: None,
                detail: Detail::default(),
            },
            pays: true,
            duty: owed.then_some(Paise(500)),
            owed,
            entries: back.iter().enumerate().map(entry).collect(),
        }
    }

    #[test]
    fn what_agrees_is_silent_and_each_difference_is_named() {
        use EntryStatus::{Failed, Pending, Processed};
        use Status::{Authorized, Captured, Refunded};
        let there = |captured, amount, refunded| AtRazorpay {
            captured,
            amount: Paise(amount),
            refunded: Paise(refunded),
        };
        type Refunds = &'static [(i64, EntryStatus)];
        type Words = &'static [&'static str];
        // status, refunds, owed, confirmed, Razorpay's captured, amount and refunded, words in each difference
        let cases: &[(Status, Refunds, bool, bool, AtRazorpay, Words)] = &[
            (Captured, &[], false, true, there(true, 500, 0), &[]),
            (
                Captured,
                &[(100, Processed)],
                false,
                true,
                there(true, 500, 100),
                &[],
            ),
            (
                Captured,
                &[(500, Pending)],
                true,
                false,
                there(true, 500, 500),
                &[],
            ),
            (Captured, &[(500, Failed)], true, false, there(true, 500, 0), &[]),
            (
                Refunded,
                &[(100, Processed), (400, Processed)],
                false,
                false,
                there(true, 500, 500),
                &[],
            ),
            (Authorized, &[], false, false, there(false, 500, 0), &[]),
            (
                Captured,
                &[],
                false,
                false,
                there(true, 500, 0),
                &["nobody sends it back"],
            ),
            (Captured, &[], true, true, there(true, 500, 0), &["is to go back"]),
            (
                Refunded,
                &[(500, Processed)],
                false,
                true,
                there(true, 500, 500),
                &["its money is not ours"],
            ),
            (
                Refunded,
                &[(100, Processed)],
                false,
                false,
                there(true, 500, 100),
                &["nobody sends", "is back"],
            ),
            (
                Captured,
                &[(500, Processed)],
                false,
                false,
                there(true, 500, 500),
                &["is back"],
            ),
            (
                Refunded,
                &[(500, Processed), (1, Pending)],
                false,
                false,
                there(true, 500, 501),
                &["more goes back"],
            ),
            (
                Authorized,
                &[],
                false,
                false,
                there(true, 500, 0),
                &["captured at Razorpay"],
            ),
            (Captured, &[], false, true, there(true, 450, 0), &["at Razorpay"]),
            (
                Captured,
                &[],
                false,
                true,
                there(true, 500, 100),
                &["goes back here"],
            ),
        ];
        for (status, back, owed, confirmed, razorpay, words) in cases {
            let line = line(*status, back, *owed);
            let bought = PaidRegistration {
                registration: RegistrationId::new(),
                payment: line.payment.id,
                confirmed: *confirmed,
            };
            let found = differences(&line, Some(&bought), Some(razorpay));
            assert_eq!(found.len(), words.len(), "{line:?}: {found:?}");
            for (found, words) in found.iter().zip(*words) {
                assert!(found.contains(words), "{found}");
            }
        }
        let beside = Line {
            pays: false,
            ..line(Captured, &[], false)
        };
        let bought = PaidRegistration {
            registration: RegistrationId::new(),
            payment: beside.payment.id,
            confirmed: true,
        };
        let found = differences(&beside, Some(&bought), Some(&there(true, 500, 0)));
        assert!(
            found.len() == 1 && found[0].contains("has not paid its order"),
            "{found:?}"
        );
        // What is kept on purpose is not looked for: all of it, or what a part leaves.
        // the duty, refunds, owed, confirmed, words in each difference
        let parts: &[(i64, Refunds, bool, bool, Words)] = &[
            (0, &[], false, false, &[]),
            (200, &[], true, false, &[]),
            (200, &[(200, Pending)], true, false, &[]),
            (200, &[(200, Failed), (200, Processed)], false, false, &[]),
            (200, &[], false, false, &["2 was captured"]),
            (200, &[(150, Processed)], false, false, &["nobody sends"]),
            (
                200,
                &[(200, Processed), (50, Pending)],
                false,
                false,
                &["we send back"],
            ),
            (0, &[], false, true, &["0 of it is to go back"]),
            (200, &[(200, Processed)], false, true, &["2 of it is to go back"]),
        ];
        for (duty, back, owed, confirmed, words) in parts {
            let line = Line {
                duty: Some(Paise(*duty)),
                ..line(Captured, back, *owed)
            };
            let bought = PaidRegistration {
                registration: RegistrationId::new(),
                payment: line.payment.id,
                confirmed: *confirmed,
            };
            let there = there(true, 500, line.balance().gone().0);
            let found = differences(&line, Some(&bought), Some(&there));
            assert_eq!(found.len(), words.len(), "{line:?}: {found:?}");
            for (found, words) in found.iter().zip(*words) {
                assert!(found.contains(words), "{found}");
            }
        }
        // What others sent beside it is no difference.
        let mut beside = Line {
            duty: Some(Paise(200)),
            ..line(Captured, &[(200, Processed), (50, Processed)], false)
        };
        beside.entries[1].refund_id = None;
        let found = differences(&beside, None, Some(&there(true, 500, 250)));
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(line(Captured, &[(100, Pending)], true).outstanding(), Paise(400));
        let gone = differences(&line(Captured, &[], true), None, None);
        assert!(
            gone.len() == 1 && gone[0].contains("does not have it"),
            "{gone:?}"
        );
    }
}
