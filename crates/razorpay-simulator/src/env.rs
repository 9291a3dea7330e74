//! The settings of the program, from environment variables.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;

use crate::{secrets, settings::Settings};

/// The longest delay of UPI outcomes, in milliseconds.
const LONGEST_UPI_DELAY_MS: u64 = 1000;

/// What the program `razorpay-simulator` is started with.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where to listen.
    pub address: SocketAddr,
    /// What to serve.
    pub settings: Settings,
    /// Which log lines to write, such as `info` or `razorpay_simulator=debug`.
    pub log: String,
}

impl Program {
    /// Reads the environment. Secrets that are not set are read from the data directory, or made there.
    ///
    /// # Errors
    /// One text for the person who started the program, naming all that is wrong.
    pub fn from_env() -> Result<Self, String> {
        let mut wrong = Vec::new();
        let port = read(
            &mut wrong,
            "RAZORPAY_SIMULATOR_PORT",
            "3199",
            "a port, 0 to 65535",
            |text| text.parse::<u16>().ok(),
        );
        let bind = read(&mut wrong, "BIND_ADDR", "127.0.0.1", "an IP address", |text| {
            text.parse::<IpAddr>().ok()
        });
        let auto_complete = read(
            &mut wrong,
            "SIMULATOR_AUTO_COMPLETE",
            "on",
            "on, off or milliseconds",
            |text| match text {
                "on" => Some(Some(Duration::ZERO)),
                "off" => Some(None),
                millis => millis
                    .parse()
                    .ok()
                    .map(|millis| Some(Duration::from_millis(millis))),
            },
        );
        let upi_delay = read(
            &mut wrong,
            "SIMULATOR_UPI_DELAY_MS",
            "0",
            "milliseconds, at most 1000",
            |text| {
                text.parse()
                    .ok()
                    .filter(|millis| *millis <= LONGEST_UPI_DELAY_MS)
                    .map(Duration::from_millis)
            },
        );
        let controls = read(
            &mut wrong,
            "SIMULATOR_CONTROLS",
            "off",
            "on or off",
            |text| match text {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            },
        );
        let data_dir = PathBuf::from(text("DATA_DIR").unwrap_or_else(|| "./data".to_owned()));
        let key_secret = secret(
            &mut wrong,
            &data_dir,
            "RAZORPAY_KEY_SECRET",
            "razorpay_key_secret",
        );
        let webhook_secret = secret(
            &mut wrong,
            &data_dir,
            "RAZORPAY_WEBHOOK_SECRET",
            "razorpay_webhook_secret",
        );
        match (
            port,
            bind,
            auto_complete,
            upi_delay,
            controls,
            key_secret,
            webhook_secret,
        ) {
            (
                Some(port),
                Some(bind),
                Some(auto_complete),
                Some(upi_delay),
                Some(controls),
                Some(key_secret),
                Some(webhook_secret),
            ) => Ok(Self {
                address: SocketAddr::new(bind, port),
                settings: Settings {
                    key_id: text("RAZORPAY_KEY_ID").unwrap_or_else(|| "rzp_test_simulator".to_owned()),
                    key_secret,
                    webhook_secret,
                    webhook_url: text("RAZORPAY_WEBHOOK_URL"),
                    data_dir: Some(data_dir),
                    auto_complete,
                    upi_delay,
                    controls,
                },
                log: text("LOG").unwrap_or_else(|| "info".to_owned()),
            }),
            _ => Err(wrong.join("\n")),
        }
    }
}

/// The value of a variable; empty is not set.
fn text(name: &str) -> Option<String> {
    env::var(name)
        .ok()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn read<T>(
    wrong: &mut Vec<String>,
    name: &str,
    default: &str,
    meaning: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = text(name).unwrap_or_else(|| default.to_owned());
    let value = parse(&text);
    if value.is_none() {
        wrong.push(format!("{name} must be {meaning}, not {text}."));
    }
    value
}

fn secret(wrong: &mut Vec<String>, dir: &Path, name: &str, file: &str) -> Option<SecretString> {
    if let Some(secret) = text(name) {
        return Some(SecretString::from(secret));
    }
    match secrets::read_or_create(dir, file) {
        Ok(secret) => Some(secret),
        Err(error) => {
            wrong.push(format!(
                "{name} is not set, and {} cannot be used: {error}.",
                dir.join(file).display()
            ));
            None
        }
    }
}
