//! The reasons for which banks decline, with the words and the codes of Razorpay's documentation of its errors.

/// Why a payment failed.
#[derive(Debug)]
pub(crate) struct Decline {
    /// The slug that clients branch on.
    pub(crate) reason: &'static str,
    pub(crate) code: &'static str,
    pub(crate) source: &'static str,
    pub(crate) step: &'static str,
    pub(crate) description: &'static str,
}

const BAD_REQUEST: &str = "BAD_REQUEST_ERROR";
const GATEWAY: &str = "GATEWAY_ERROR";

const fn decline(
    reason: &'static str,
    code: &'static str,
    source: &'static str,
    step: &'static str,
    description: &'static str,
) -> Decline {
    Decline {
        reason,
        code,
        source,
        step,
        description,
    }
}

/// The first one stands for whatever is not listed.
static DECLINES: &[Decline] = &[
    decline(
        "payment_failed",
        BAD_REQUEST,
        "gateway",
        "payment_response",
        "Payment was unsuccessful due to a temporary issue. Any amount deducted will be refunded within 5-7 working \
         days.",
    ),
    decline(
        "payment_timed_out",
        BAD_REQUEST,
        "customer",
        "payment_authentication",
        "Payment was unsuccessful as you could not complete it in time.",
    ),
    decline(
        "insufficient_fund",
        BAD_REQUEST,
        "customer",
        "payment_authorization",
        "Payment was unsuccessful as there are insufficient funds in your account. Try another account or method.",
    ),
    decline(
        "payment_cancelled",
        BAD_REQUEST,
        "customer",
        "payment_authentication",
        "Payment was cancelled by the customer.",
    ),
    decline(
        "card_declined",
        BAD_REQUEST,
        "issuer_bank",
        "payment_authorization",
        "Payment was declined by your card's bank. Try another card or method.",
    ),
    decline(
        "card_disabled_for_online_payments",
        BAD_REQUEST,
        "issuer_bank",
        "payment_authorization",
        "Payment was unsuccessful as this card is not enabled for online payments. Try another card or method.",
    ),
    decline(
        "card_number_invalid",
        BAD_REQUEST,
        "customer",
        "payment_authorization",
        "You have entered an incorrect card number. Try again.",
    ),
    decline(
        "gateway_technical_error",
        GATEWAY,
        "gateway",
        "payment_authorization",
        "Payment processing failed due to error at bank/wallet gateway",
    ),
    decline(
        "authentication_failed",
        GATEWAY,
        "customer",
        "payment_authentication",
        "Payment failed because the cardholder could not be authenticated.",
    ),
    decline(
        "insufficient_funds",
        GATEWAY,
        "customer",
        "payment_debit_request",
        "Payment was unsuccessful as there are insufficient funds in your account. Try another account or method.",
    ),
    decline(
        "payment_declined",
        GATEWAY,
        "issuer_bank",
        "payment_debit_request",
        "Payment was declined by your bank. Try another account or method.",
    ),
    decline(
        "incorrect_pin",
        BAD_REQUEST,
        "customer",
        "payment_authentication",
        "Payment was unsuccessful as you entered an incorrect UPI PIN. Try again.",
    ),
    decline(
        "incorrect_otp",
        BAD_REQUEST,
        "customer",
        "payment_authentication",
        "payment processing failed because of incorrect otp",
    ),
];

impl Decline {
    /// The decline with a reason; a general one for reasons that are not known.
    pub(crate) fn of(reason: &str) -> &'static Self {
        DECLINES
            .iter()
            .find(|decline| decline.reason == reason)
            .unwrap_or(&DECLINES[0])
    }
}
