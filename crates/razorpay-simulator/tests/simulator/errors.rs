//! The table of errors.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Sim, card, merge, payment, text, upi};

fn order(more: Value) -> Value {
    let mut body = json!({ "amount": 50000, "currency": "INR" });
    merge(&mut body, more);
    body
}

#[tokio::test]
async fn of_orders() {
    let sim = Sim::start().await;
    let notes: Value = (0..16)
        .map(|n| (format!("k{n}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for (body, expected, field) in [
        (
            json!({ "currency": "INR" }),
            "The amount field is required.",
            "amount",
        ),
        (
            order(json!({ "amount": 99 })),
            "Order amount less than minimum amount allowed",
            "amount",
        ),
        (
            order(json!({ "amount": -1 })),
            "The amount must be at least INR 1.00",
            "amount",
        ),
        (
            order(json!({ "amount": 100.5 })),
            "The amount must be an integer.",
            "amount",
        ),
        (
            order(json!({ "amount": "100" })),
            "The amount must be an integer.",
            "amount",
        ),
        (
            order(json!({ "amount": 1_000_000_000_000_i64 })),
            "Amount exceeds maximum amount allowed.",
            "amount",
        ),
        (
            json!({ "amount": 100 }),
            "The currency field is required.",
            "currency",
        ),
        (
            order(json!({ "currency": 5 })),
            "expected string but provided 5",
            "currency",
        ),
        (
            order(json!({ "currency": "XXX" })),
            "The currency is not supported.",
            "currency",
        ),
        (
            order(json!({ "receipt": "x".repeat(41) })),
            "The receipt may not be greater than 40 characters.",
            "receipt",
        ),
        (
            order(json!({ "receipt": 5 })),
            "The receipt must be a string.",
            "receipt",
        ),
        (
            order(json!({ "notes": notes })),
            "Number of fields in notes should be less than or equal to 15",
            "notes",
        ),
        (
            order(json!({ "notes": { "a": "x".repeat(257) } })),
            "The keys and values of notes may not be greater than 256 characters.",
            "notes",
        ),
        (
            order(json!({ "notes": "text" })),
            "The notes must be an object.",
            "notes",
        ),
    ] {
        let (status, error) = sim.refused(Method::POST, "/v1/orders", body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(error["code"], "BAD_REQUEST_ERROR");
        assert_eq!(
            (text(&error["description"]), text(&error["field"])),
            (expected.to_owned(), field.to_owned())
        );
        assert_eq!(error["metadata"], json!({}));
        assert!(error["source"].is_string() && error["step"].is_string() && error["reason"].is_string());
    }
    // What orders do not know is ignored.
    sim.order(json!({ "method": "upi", "unknown": [1, 2] })).await;
}

#[tokio::test]
async fn of_payments() {
    let sim = Sim::start().await;
    let order = sim.order(json!({})).await;
    let with = |key: &str, value: Value| {
        let mut body = payment(&order, upi("success@razorpay"));
        body[key] = value;
        body
    };
    let card_with = |key: &str, value: Value| {
        let mut body = payment(&order, card("4100280000001007"));
        body["card"][key] = value;
        body
    };
    let unknown = "order_AAAAAAAAAAAAAA";
    let past = "Your card has expired. Try another card.";
    for (body, expected) in [
        (
            with("amount", json!(40000)),
            "Your payment amount is different from your order amount. To pay successfully, please try using right amount.",
        ),
        (with("amount", Value::Null), "The amount field is required."),
        (with("email", Value::Null), "The email field is required."),
        (
            with("email", json!("nobody")),
            "The email must be a valid email address.",
        ),
        (
            with("contact", json!("12")),
            "Contact number should be at least 8 digits, including country code",
        ),
        (with("order_id", Value::Null), "The order_id field is required."),
        (with("order_id", json!(unknown)), "The id provided does not exist"),
        (with("order_id", json!("order_1")), "order_1 is not a valid id"),
        (
            with("currency", json!("USD")),
            "Your payment currency is different from your order currency.",
        ),
        (with("method", json!("barter")), "The selected method is invalid."),
        (
            with("upi", json!({ "flow": "collect", "vpa": "nobody" })),
            "Invalid VPA. Please enter a valid Virtual Payment Address",
        ),
        (
            with("upi", json!({ "flow": "collect" })),
            "The vpa field is required.",
        ),
        (
            with("callback_url", json!("javascript:alert(1)")),
            "The callback url format is invalid.",
        ),
        (
            payment(&order, json!({ "method": "netbanking", "bank": "NONE" })),
            "The selected bank is invalid.",
        ),
        (
            payment(&order, json!({ "method": "wallet", "wallet": "sock" })),
            "The selected wallet is invalid.",
        ),
        (
            payment(&order, json!({ "method": "card" })),
            "The card field is required.",
        ),
        (
            card_with("number", json!("4100280000001008")),
            "You have entered an incorrect card number. Try again.",
        ),
        (card_with("number", Value::Null), "The number field is required."),
        (card_with("cvv", Value::Null), "The cvv field is required."),
        (
            card_with("expiry_month", json!("13")),
            "The expiry_month must be between 1 and 12.",
        ),
        (card_with("expiry_year", json!("20")), past),
        (card_with("expiry_year", json!(2020)), past),
    ] {
        let (status, error) = sim
            .refused(Method::POST, "/v1/payments/create/json", body.clone())
            .await;
        assert_eq!(
            (status, text(&error["description"])),
            (400, expected.to_owned()),
            "{body}"
        );
    }
    assert_eq!(
        sim.get(&format!("/v1/orders/{}", text(&order["id"]))).await["attempts"],
        0
    );
    sim.pay(&order, upi("success@razorpay")).await;
    let (_, error) = sim
        .refused(
            Method::POST,
            "/v1/payments/create/json",
            payment(&order, upi("success@razorpay")),
        )
        .await;
    assert_eq!(
        error["description"],
        "Your payment has been declined as the order is already paid. Please initiate the payment with a new order."
    );
}

#[tokio::test]
async fn of_ids_lists_and_extra_fields() {
    let sim = Sim::start().await;
    for (path, expected) in [
        ("/v1/orders/order_1", "order_1 is not a valid id"),
        (
            "/v1/orders/order_AAAAAAAAAAAAAA",
            "The id provided does not exist",
        ),
        (
            "/v1/orders/order_AAAAAAAAAAAAAA/payments",
            "The id provided does not exist",
        ),
        (
            "/v1/payments/order_AAAAAAAAAAAAAA",
            "order_AAAAAAAAAAAAAA is not a valid id",
        ),
        (
            "/v1/payments/pay_AAAAAAAAAAAAAA",
            "The id provided does not exist",
        ),
        (
            "/v1/payments/pay_AAAAAAAAAAAAAA/refunds",
            "The id provided does not exist",
        ),
        (
            "/v1/refunds/rfnd_AAAAAAAAAAAAAA",
            "The id provided does not exist",
        ),
        (
            "/v1/payment_links/plink_AAAAAAAAAAAAAA",
            "The id provided does not exist",
        ),
        ("/v1/orders?count=101", "The count may not be greater than 100."),
        ("/v1/orders?count=x", "The count must be an integer."),
        (
            "/v1/payments?from=5",
            "from must be between 946684800 and 4765046400",
        ),
        ("/v1/orders/%FF", "The requested URL was not found on the server."),
    ] {
        let (status, error) = sim.refused(Method::GET, path, json!({})).await;
        assert_eq!(
            (status, text(&error["description"])),
            (400, expected.to_owned()),
            "{path}"
        );
    }
    let id = sim.captured().await;
    let (_, error) = sim
        .refused(
            Method::POST,
            &format!("/v1/payments/{id}/refund"),
            json!({ "amount": 100, "colour": "red" }),
        )
        .await;
    assert_eq!(
        error["description"],
        "colour is/are not required and should not be sent"
    );
    assert_eq!(
        (&error["reason"], &error["field"]),
        (&json!("extra_field_sent"), &json!("colour"))
    );
    let (_, error) = sim
        .refused(Method::POST, &format!("/v1/payments/{id}/capture"), json!({}))
        .await;
    assert_eq!(error["field"], "amount");
}
