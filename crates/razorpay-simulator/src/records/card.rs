//! A card as it is kept and as it is shown: what a receipt has of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids;

/// What is kept of a card.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) last4: String,
    /// The first six digits: the issuer, not the card.
    pub(crate) iin: String,
    pub(crate) network: String,
    pub(crate) international: bool,
}

impl Card {
    /// As the API shows it.
    pub(crate) fn view(&self) -> Value {
        json!({
            "id": self.id, "entity": "card", "name": self.name, "last4": self.last4, "network": self.network,
            "type": "credit", "issuer": null, "international": self.international, "emi": false,
            "sub_type": "consumer", "token_iin": null,
        })
    }

    /// The first test card that succeeds, for payments of links.
    pub(crate) fn of_a_link() -> Self {
        Self {
            id: ids::new("card"),
            name: String::new(),
            last4: "1007".to_owned(),
            iin: "410028".to_owned(),
            network: "Visa".to_owned(),
            international: false,
        }
    }
}
