//! For the services' tests: nothing that a service stores can be forgotten.

use rusqlite::Connection;

use crate::table::{Id, Service};

/// Checks that every table of the file is copied, or left for a reason; that every column of a table that is copied
/// goes into its document; and that every collection is copied into, or left.
///
/// # Panics
/// When something is forgotten.
pub fn assert_nothing_is_forgotten(service: &Service) {
    let db = in_memory(service);
    let left = |name: &str| service.left.iter().any(|(left, _)| *left == name);
    let tables = texts(
        &db,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    for name in &tables {
        let copied = service.tables.iter().filter(|table| table.name == name).count();
        assert!(
            copied + usize::from(left(name)) == 1,
            "{}.{name} must be either copied or left for a reason",
            service.name
        );
    }
    for collection in service.collections {
        let copied = service.tables.iter().any(|table| table.name == collection.name);
        assert!(
            copied != left(collection.name),
            "nothing is migrated into {}.{}",
            service.name,
            collection.name
        );
    }
    for table in service.tables {
        let name = format!("{}.{}", service.name, table.name);
        let mut collections = service.collections.iter();
        let Some(collection) = collections.find(|collection| collection.name == table.name) else {
            panic!("there is no collection {name}");
        };
        db.prepare(&table.query(collection))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (Id::Is(id) | Id::Made(id, _)) = table.id;
        let expressions = collection
            .fields
            .iter()
            .map(|(field, _)| table.expression(field))
            .chain([id]);
        let used: Vec<&str> = expressions
            .flat_map(|sql| sql.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .collect();
        for column in texts(
            &db,
            &format!("SELECT name FROM pragma_table_info('{}')", table.name),
        ) {
            assert!(used.contains(&column.as_str()), "{name}.{column} is not copied");
        }
    }
}

fn in_memory(service: &Service) -> Connection {
    let db = Connection::open_in_memory().unwrap_or_else(|error| panic!("{error}"));
    for script in service.migrations {
        db.execute_batch(script)
            .unwrap_or_else(|error| panic!("{}: {error}", service.name));
    }
    db
}

fn texts(db: &Connection, sql: &str) -> Vec<String> {
    let found = db.prepare(sql).and_then(|mut statement| {
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    });
    found.unwrap_or_else(|error| panic!("{sql}: {error}"))
}
