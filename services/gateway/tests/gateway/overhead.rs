//! What the gateway costs a request. A measurement, not a check: `cargo test --release -p gateway -- --ignored
//! --nocapture overhead`.

use std::time::Instant;

use axum::{Router, http::Method};
use common::{http::Pipeline, metrics::Metrics};

use crate::world::{Topology, World, request};

fn service() -> Router {
    Router::new().route("/api/users/me", axum::routing::get(|| async { "fine" }))
}

async fn measure(pipeline: &Pipeline, headers: &[(&str, &str)]) -> u128 {
    const ROUNDS: u32 = 200_000;
    let mut best = u128::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(
                pipeline
                    .handle(request(Method::GET, "/api/users/me", headers))
                    .await,
            );
        }
        best = best.min(began.elapsed().as_nanos() / u128::from(ROUNDS));
    }
    best
}

#[tokio::test]
#[ignore = "a measurement"]
async fn overhead() {
    let usual = [
        ("host", "localhost:3003"),
        ("user-agent", "load"),
        ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x"),
        ("accept", "*/*"),
    ];
    let browser = [
        usual.as_slice(),
        &[
            ("accept-encoding", "gzip, br"),
            ("origin", "http://localhost:5173"),
        ],
    ]
    .concat();
    let bare = Pipeline::new("users", service(), Metrics::new("users", Vec::new()));
    let world = World::with(Topology::OneProcess, &[], |_, _| service()).await;
    let alone = measure(&bare, &usual).await;
    let through = measure(&world.pipeline, &usual).await;
    let browsers = measure(&world.pipeline, &browser).await;
    println!("a service alone {alone} ns, through the gateway {through} ns, for a browser {browsers} ns");
}
