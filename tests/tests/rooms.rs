//! The direction of dependencies: between the crates of the workspace, and between the rooms of a crate (its files and
//! folders beside `lib.rs`). Each stands above those that it uses, so that it can be read without those above it.

#![expect(clippy::unwrap_used, reason = "tests fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Crates of which nothing may be linked into the gateway or the black-box tests.
const DATABASES: [&str; 2] = ["rusqlite", "mongodb"];
/// The only crates that know a database's driver. Services write queries in the terms of `sqlite-store`; MongoDB's are
/// documents, which are the driver's own.
const KNOW_SQLITE: [&str; 4] = [
    "razorpay-simulator",
    "sqlite-store",
    "store-migration",
    "store-test-kit",
];
/// The only crates that know the driver of Redis.
const KNOW_REDIS: [&str; 2] = ["shared-state", "test-kit"];

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
    let packages = packages();
    assert!(packages.len() > 10, "{:?}", packages.keys());
    for (name, package) in packages {
        let left = circle(rooms(&package.dir.join("src")));
        assert!(
            left.is_empty(),
            "{name}: a circle, or what stands on one: {left:#?}"
        );
    }
}

/// A crate of the workspace, and what it depends on outside of its tests.
struct Package {
    dir: PathBuf,
    uses: BTreeSet<String>,
    /// What its tests use beside.
    tests_use: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let package = |package: &Value| {
        let used = |kind: Value| -> BTreeSet<String> {
            let all = package["dependencies"].as_array().unwrap().iter();
            all.filter(|one| one["kind"] == kind)
                .map(|one| text(&one["name"]))
                .collect()
        };
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let (uses, tests_use) = (used(Value::Null), used("dev".into()));
        let dir = manifest.parent().unwrap().to_owned();
        (text(&package["name"]), Package { dir, uses, tests_use })
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(package)
        .collect()
}

/// All that `names` bring into a program, as far as the workspace's crates name it.
fn linked(packages: &BTreeMap<String, Package>, names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut all = names.clone();
    loop {
        let more = all.iter().filter_map(|name| packages.get(name));
        let more: BTreeSet<String> = more.flat_map(|package| package.uses.clone()).collect();
        if more.is_subset(&all) {
            return all;
        }
        all.extend(more);
    }
}

#[test]
fn crates_have_a_direction() {
    let packages = packages();
    let services = ["users", "events", "notifications", "payments"];
    let others = |name: &str| -> BTreeSet<String> {
        let ours = packages.keys().map(String::as_str);
        ours.filter(|other| *other != name).map(str::to_owned).collect()
    };
    for (name, package) in &packages {
        let uses = &package.uses;
        if name == "common" {
            assert!(
                uses.is_disjoint(&others(name)),
                "common stands on nothing of ours: {uses:?}"
            );
        }
        if services.contains(&name.as_str()) || name == "gateway" {
            let above =
                services
                    .iter()
                    .chain(&["gateway", "standalone", "store-migration", "razorpay-simulator"]);
            for other in above {
                assert!(
                    !uses.contains(*other),
                    "{name} calls {other} over HTTP, it does not link it"
                );
            }
        }
        for (driver, know) in [("rusqlite", &KNOW_SQLITE[..]), ("redis", &KNOW_REDIS)] {
            assert!(
                !uses.contains(driver) || know.contains(&name.as_str()),
                "{name} uses {driver}"
            );
        }
    }
    let gateway = linked(&packages, &packages["gateway"].uses);
    let tests = &packages["tests"];
    let tests = linked(&packages, &tests.uses.union(&tests.tests_use).cloned().collect());
    for database in DATABASES {
        assert!(!gateway.contains(database), "the gateway links {database}");
        assert!(!tests.contains(database), "the black-box tests link {database}");
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
