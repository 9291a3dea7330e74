//! What is measured, one file per path.

mod build;
mod desk;
mod list;
mod live;
mod login;
mod mail;
mod messages;
mod mixed;
mod paid;
mod register;
mod reminders;
mod start;
mod streams;

use crate::{
    failure::Outcome, lab::Lab, load::work::Expected, phase::Phase, progress::Progress, report::Report,
    scratch::Scratch, system::Programs,
};

/// Measures without a running system.
pub async fn run_alone(
    phase: Phase,
    programs: &Programs,
    scratch: &Scratch,
    progress: &Progress,
    report: &mut Report,
) -> Outcome<()> {
    match phase {
        Phase::Build => build::run(scratch, progress, report),
        Phase::Messages => messages::run(programs, scratch, progress, report).await,
        _ => start::run(programs, scratch, progress, report).await,
    }
}

/// Measures the running system.
pub async fn run_in(phase: Phase, lab: &Lab, report: &mut Report) -> Outcome<()> {
    match phase {
        Phase::Build | Phase::Start | Phase::Messages => Ok(()),
        Phase::List => list::run(lab, report).await,
        Phase::Mixed => mixed::run(lab, report).await,
        Phase::Hot => register::run(lab, register::Kind::Hot, report).await,
        Phase::Spread => register::run(lab, register::Kind::Spread, report).await,
        Phase::Login => login::run(lab, report).await,
        Phase::Paid => paid::run(lab, report).await,
        Phase::Mail => mail::run(lab, report).await,
        Phase::Live => live::run(lab, report).await,
        Phase::Streams => streams::run(lab, report).await,
        Phase::Encoders => streams::encoders::run(lab, report).await,
        Phase::Reminders => reminders::run(lab, report).await,
        Phase::Desk => desk::run(lab, report).await,
    }
}

/// Any 200.
const OK: &[Expected] = &[(200, "")];

/// A registration that holds a seat for good.
const CONFIRMED: &[Expected] = &[(201, "\"confirmed\"")];
