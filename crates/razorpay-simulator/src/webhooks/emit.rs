//! Writing down an event, in the change that it tells of: either both are kept or neither.

use rusqlite::params;
use serde_json::{Map, Value, json};

use super::receivers;
use crate::{app::Tx, db, failure::Failure, ids, signature};

/// Tells the receivers of an event. `subject` is what it is about (the order): events of one subject are sent in the
/// order in which they happened. `entities` are the payload, as they are at this moment.
pub(crate) fn emit(
    tx: &Tx<'_>,
    name: &str,
    subject: &str,
    entities: &[(&str, Value)],
) -> Result<(), Failure> {
    let receivers: Vec<_> = receivers::active(tx.db)?
        .into_iter()
        .filter(|receiver| receiver.wants(name))
        .collect();
    if receivers.is_empty() {
        return Ok(());
    }
    let contains: Vec<&str> = entities.iter().map(|(kind, _)| *kind).collect();
    let payload: Map<String, Value> = entities
        .iter()
        .map(|(kind, entity)| ((*kind).to_owned(), json!({ "entity": entity })))
        .collect();
    let body = json!({
        "entity": "event", "account_id": tx.app.account_id, "event": name, "contains": contains,
        "payload": payload, "created_at": tx.now(),
    })
    .to_string();
    let sql = "INSERT INTO events (id, name, created_at, body) VALUES (?1, ?2, ?3, ?4)";
    db::execute(tx.db, sql, params![ids::bare(), name, tx.now_ms, body.as_bytes()])?;
    let event = tx.db.last_insert_rowid();
    let due_at = tx.now_ms + tx.app.mischief.lateness(name);
    for receiver in receivers {
        // Signed now: what is sent after a change of the secret still has the signature of the old one.
        let signature = signature::sign(body.as_bytes(), &receiver.secret(tx.app));
        let sql = "INSERT INTO deliveries (event, receiver, subject, signature, due_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        db::execute(
            tx.db,
            sql,
            params![event, receiver.id, subject, signature, due_at],
        )?;
    }
    tx.wake_outgoing();
    Ok(())
}
