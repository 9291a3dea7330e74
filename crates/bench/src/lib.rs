//! What the load generator (`bench`) and the program it compares with (`bare`) share: the access
//! token, and the answers that the one captures and the other repeats.

pub mod answers;
pub mod token;
