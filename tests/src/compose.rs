//! `docker-compose.yml` as docker compose reads it: anchors, merge keys, profiles and variables.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::process::root;

/// A compose file that fits the schema.
pub struct Compose(Value);

/// One service of it, as it would be started.
pub struct Service {
    /// Its name, which is also its host name.
    pub name: String,
    /// What the file says of it.
    pub body: Value,
}

impl Compose {
    /// Reads a compose file and checks it against the compose-spec schema.
    ///
    /// # Errors
    /// What does not fit the schema.
    pub fn read(path: &Path) -> Result<Self, String> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which sets it"))
        };
        let read = Command::new(variable("ORGANISE_NODE"))
            .arg(root().join("tests/tools/compose.cjs"))
            .arg(path)
            .env("NODE_PATH", variable("ORGANISE_NODE_MODULES"))
            .output()
            .unwrap();
        if read.status.success() {
            Ok(Self(serde_json::from_slice(&read.stdout).unwrap()))
        } else {
            Err(String::from_utf8_lossy(&read.stderr).into_owned())
        }
    }

    /// The file of the repository.
    pub fn ours() -> Self {
        Self::read(&root().join("docker-compose.yml")).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// What starts with these variables, by name. `COMPOSE_PROFILES` among them switches profiles on.
    pub fn services(&self, variables: &BTreeMap<String, String>) -> BTreeMap<String, Service> {
        let active: BTreeSet<&str> = variables
            .get("COMPOSE_PROFILES")
            .map(|list| list.split(',').collect())
            .unwrap_or_default();
        let mut services = BTreeMap::new();
        for (name, body) in self.0["services"].as_object().unwrap() {
            let mut profiles = strings(&body["profiles"]).into_iter();
            if body["profiles"].is_null() || profiles.any(|profile| active.contains(profile.as_str())) {
                let (name, mut body) = (name.clone(), body.clone());
                resolve(&mut body, variables, &mut BTreeSet::new());
                services.insert(name.clone(), Service { name, body });
            }
        }
        services
    }

    /// The variables that the file asks for.
    pub fn variables(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        resolve(&mut self.0.clone(), &BTreeMap::new(), &mut names);
        names
    }
}

impl Service {
    /// The environment of its containers.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.body["environment"].as_object().into_iter().flatten();
        pairs
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    }

    /// Its command; empty when the image's own is used.
    pub fn command(&self) -> Vec<String> {
        strings(&self.body["command"])
    }

    /// Whether it runs our image.
    pub fn is_ours(&self) -> bool {
        self.body["image"] == "organise-event"
    }

    /// The ports of the machine it is published on, with their addresses.
    pub fn published(&self) -> Vec<String> {
        strings(&self.body["ports"])
    }

    /// Its health check, with `CMD` or `CMD-SHELL` first.
    pub fn health(&self) -> Vec<String> {
        strings(&self.body["healthcheck"]["test"])
    }

    /// What must be healthy before it starts: the names and conditions, and whether they may be absent.
    pub fn needs(&self) -> Vec<(String, String, bool)> {
        let needs = self.body["depends_on"].as_object().into_iter().flatten();
        needs
            .map(|(name, how)| {
                let condition = how["condition"].as_str().unwrap_or_default();
                (name.clone(), condition.to_owned(), how["required"] == false)
            })
            .collect()
    }
}

/// The texts of a list; none when it is absent.
fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn resolve(value: &mut Value, variables: &BTreeMap<String, String>, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => *text = interpolate(text, variables, names),
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, variables, names)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| resolve(member, variables, names)),
        _ => {}
    }
}

/// Puts variables in, as compose does, and notes their names. The forms that the file uses: `${NAME}`, `${NAME:-else}`,
/// `${NAME:+then}`, one in another, and `$$` for a dollar sign.
fn interpolate(text: &str, variables: &BTreeMap<String, String>, names: &mut BTreeSet<String>) -> String {
    let Some((before, rest)) = text.split_once('$') else {
        return text.to_owned();
    };
    if let Some(rest) = rest.strip_prefix('$') {
        return format!("{before}${}", interpolate(rest, variables, names));
    }
    let inside = rest
        .strip_prefix('{')
        .unwrap_or_else(|| panic!("{text}: a dollar sign is written $$"));
    let mut depth = 1;
    let end = inside.char_indices().find(|(_, char)| {
        depth += i32::from(*char == '{') - i32::from(*char == '}');
        depth == 0
    });
    let (inside, rest) = inside.split_at(end.unwrap_or_else(|| panic!("{text}: no end")).0);
    let name_ends = inside
        .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .unwrap_or(inside.len());
    let (name, form) = inside.split_at(name_ends);
    names.insert(name.to_owned());
    let set = variables.get(name).filter(|value| !value.is_empty()).cloned();
    let value = if let Some(other) = form.strip_prefix(":-") {
        let other = interpolate(other, variables, names);
        set.unwrap_or(other)
    } else if let Some(then) = form.strip_prefix(":+") {
        let then = interpolate(then, variables, names);
        set.map(|_| then).unwrap_or_default()
    } else {
        assert!(form.is_empty(), "{text}: not a form that is known here");
        set.unwrap_or_default()
    };
    format!("{before}{value}{}", interpolate(&rest[1..], variables, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_as_compose_does() {
        let variables =
            [("SET", "1"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut names = BTreeSet::new();
        for (text, expected) in [
            ("plain", "plain"),
            ("a ${SET} b ${SET}", "a 1 b 1"),
            ("${EMPTY:-x}${UNSET:-y${SET}}", "xy1"),
            ("${SET:+z}${EMPTY:+no}", "z"),
            ("$${SET}", "${SET}"),
            ("${UNSET}", ""),
        ] {
            assert_eq!(
                interpolate(text, &variables.clone().into(), &mut names),
                expected,
                "{text}"
            );
        }
        assert_eq!(names.len(), 3);
    }
}
