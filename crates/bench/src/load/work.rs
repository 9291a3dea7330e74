//! What the connections do.

use super::{connection::Reply, template::Template};

/// An answer that is in order: the status, and a text that the body must hold (empty = any body).
pub type Expected = (u16, &'static str);

/// One request of a story.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is sent.
    pub request: Template,
    /// The answers that are in order.
    pub expected: &'static [Expected],
}

impl Step {
    /// Whether an answer is one of those expected.
    pub fn accepts(&self, answer: &Reply) -> bool {
        self.expected
            .iter()
            .any(|(status, part)| *status == answer.status && holds(&answer.body, part.as_bytes()))
    }
}

/// Whether `part` occurs in `body`.
fn holds(body: &[u8], part: &[u8]) -> bool {
    part.is_empty() || body.windows(part.len()).any(|window| window == part)
}

/// A supply of stories. A story is what one user does on one connection, request after request, and what
/// is timed.
pub trait Work: Send + Sync + 'static {
    /// Story number `number`, or `None` when there are no more; every number is asked for once.
    fn story(&self, number: usize) -> Option<&[Step]>;
}

/// The same stories over and over.
pub struct Again(pub Vec<Vec<Step>>);

impl Work for Again {
    fn story(&self, number: usize) -> Option<&[Step]> {
        self.0.get(number % self.0.len().max(1)).map(Vec::as_slice)
    }
}

/// Every story once.
pub struct Once(pub Vec<Vec<Step>>);

impl Work for Once {
    fn story(&self, number: usize) -> Option<&[Step]> {
        self.0.get(number).map(Vec::as_slice)
    }
}
