//! The direction of imports between the rooms of a crate: its files and folders beside `lib.rs`. A room stands above those
//! that it imports, so that each can be read without those above it.

#![expect(clippy::unwrap_used, reason = "tests fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Crates whose rooms form no circle. The tests inside them may look anywhere.
const CRATES: [&str; 7] = [
    "crates/bench",
    "crates/standalone",
    "services/events",
    "services/gateway",
    "services/notifications",
    "services/payments",
    "services/users",
];

type Rooms = BTreeMap<String, BTreeSet<String>>;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// What a file imports of its crate: the first names after `crate::`, also inside of braces.
fn imports(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let mut name = String::new();
        let mut depth = 0;
        for character in after.chars() {
            if character.is_alphanumeric() || character == '_' {
                name.push(character);
                continue;
            }
            // A name at the top of the braces, or the only one, is a room's; what is deeper is inside of one.
            let name = std::mem::take(&mut name);
            if !name.is_empty() && depth <= 1 {
                names.insert(name);
            }
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth <= 0 && character != '{' {
                break;
            }
        }
    }
    names
}

fn rooms(src: &Path) -> Rooms {
    let mut rooms = Rooms::new();
    for path in sources(src) {
        let inside = path.strip_prefix(src).unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        let room = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        let of_tests = ["tests", "contract", "testing"];
        let parts = inside
            .iter()
            .map(|part| part.to_str().unwrap().trim_end_matches(".rs"));
        if matches!(room.as_str(), "lib" | "main" | "bin")
            || parts.clone().any(|part| of_tests.contains(&part))
        {
            continue;
        }
        let imported = imports(&fs::read_to_string(&path).unwrap());
        rooms.entry(room).or_default().extend(imported);
    }
    let names: BTreeSet<String> = rooms.keys().cloned().collect();
    for (room, imported) in &mut rooms {
        imported.retain(|name| name != room && names.contains(name));
    }
    rooms
}

/// The rooms that are left when all are taken away that stand on nothing that is left.
fn circle(mut rooms: Rooms) -> Rooms {
    loop {
        let free: Vec<_> = rooms
            .iter()
            .filter(|(_, imported)| imported.is_empty())
            .map(|(room, _)| room.clone())
            .collect();
        if free.is_empty() {
            return rooms;
        }
        for room in free {
            rooms.remove(&room);
            rooms.values_mut().for_each(|imported| {
                imported.remove(&room);
            });
        }
    }
}

#[test]
fn rooms_form_no_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in CRATES {
        let rooms = rooms(&root.join(name).join("src"));
        assert!(rooms.len() > 1, "{name} has no rooms");
        let left = circle(rooms);
        assert!(
            left.is_empty(),
            "{name}: a circle, or what stands on one: {left:#?}"
        );
    }
}

#[test]
fn imports_are_seen() {
    let code = "use crate::{app::{App, Parts}, store};\n// crate::comment\nfn x() { crate::views::show() }\nuse super::x;";
    assert_eq!(imports(code), ["app", "store", "views"].map(str::to_owned).into());
    let rooms = |pairs: &[(&str, &[&str])]| -> Rooms {
        let imported = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs
            .iter()
            .map(|(room, names)| ((*room).to_owned(), imported(names)))
            .collect()
    };
    assert!(circle(rooms(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])).is_empty());
    assert_eq!(
        circle(rooms(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])])).len(),
        3
    );
}
