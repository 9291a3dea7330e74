//! The simulator's own pages, all under `/sim`: the bank's page of a payment, Checkout, and the page of a payment
//! link. No part of Razorpay's API; clients are given their addresses and must not make them up.

mod bank;
mod checkout;
mod html;
mod link;

pub(crate) use bank::{decide as bank_decide, show as bank};
pub(crate) use checkout::{
    hosted as checkout_hosted, pay as checkout_pay, script as checkout_script, show as checkout,
};
pub(crate) use link::{pay as link_pay, show as link};
