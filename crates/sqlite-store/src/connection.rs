//! The driver behind types of our own: statements, rows, and how values become columns. So ids and money need not know
//! of any database, and no service of its driver.

use std::path::Path;

use common::{
    ids::{
        AnnouncementId, EventId, MessageId, OrderId, PaymentId, PlaybackId, PostId, RefundId, RegistrationId,
        StreamId, TicketId, UserId, WaitlistId, WordingId,
    },
    money::Paise,
    store::StoreError,
};
use rusqlite::{
    CachedStatement, ErrorCode, OpenFlags, RowIndex, Transaction,
    types::{FromSql, FromSqlResult, Null, ToSql, ToSqlOutput, Type, Value, ValueRef},
};
use uuid::Uuid;

use crate::{STATEMENTS, TURN};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver's error.
    #[error(transparent)]
    Driver(#[from] rusqlite::Error),
    /// An error of the function that read a row.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of a statement.
pub type RowResult<T> = Result<T, Error>;

impl Error {
    /// A column that holds what cannot be read.
    pub fn unreadable(column: usize, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Driver(rusqlite::Error::FromSqlConversionFailure(
            column,
            Type::Text,
            why.into(),
        ))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        use rusqlite::Error as E;
        match error {
            Error::Store(error) => error,
            Error::Driver(
                error @ (E::FromSqlConversionFailure(..)
                | E::IntegralValueOutOfRange(..)
                | E::InvalidColumnType(..)
                | E::Utf8Error(..)),
            ) => Self::Corrupt(error.to_string()),
            Error::Driver(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => Self::ReadOnly(error.to_string()),
                _ => Self::Unavailable(error.to_string()),
            },
        }
    }
}

/// A connection, inside a transaction.
pub struct Connection(pub(crate) rusqlite::Connection);

impl Connection {
    /// Opens a file.
    pub(crate) fn open(path: &Path, flags: OpenFlags) -> RowResult<Self> {
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(TURN)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self(connection))
    }

    /// Begins a transaction that is rolled back when it is dropped.
    pub(crate) fn begin(&self) -> RowResult<Transaction<'_>> {
        Ok(self.0.unchecked_transaction()?)
    }

    /// A statement, prepared once per connection and kept.
    ///
    /// # Errors
    /// When it is no SQL; so for all that follow, or a storage error.
    pub fn prepare_cached(&self, sql: &str) -> RowResult<Statement<'_>> {
        Ok(Statement(self.0.prepare_cached(sql)?))
    }

    /// Runs a statement that is not run again, and gives how many rows it has changed.
    ///
    /// # Errors
    /// See [`Connection::prepare_cached`].
    pub fn execute(&self, sql: &str, values: impl Params) -> RowResult<usize> {
        let mut statement = self.0.prepare(sql)?;
        values.bind(&mut statement)?;
        Ok(statement.raw_execute()?)
    }

    /// Runs several statements without values.
    ///
    /// # Errors
    /// See [`Connection::prepare_cached`].
    pub fn execute_batch(&self, sql: &str) -> RowResult<()> {
        Ok(self.0.execute_batch(sql)?)
    }

    /// The place of the row that was inserted last.
    pub fn last_insert_rowid(&self) -> i64 {
        self.0.last_insert_rowid()
    }
}

/// A prepared statement.
pub struct Statement<'c>(CachedStatement<'c>);

impl Statement<'_> {
    /// Runs it, and gives how many rows it has changed.
    ///
    /// # Errors
    /// A storage error; so for all that follow.
    pub fn execute(&mut self, values: impl Params) -> RowResult<usize> {
        values.bind(&mut self.0)?;
        Ok(self.0.raw_execute()?)
    }

    /// Runs it and returns its rows.
    ///
    /// # Errors
    /// See [`Statement::execute`].
    pub fn query(&mut self, values: impl Params) -> RowResult<Rows<'_>> {
        values.bind(&mut self.0)?;
        Ok(Rows(self.0.raw_query()))
    }

    /// What `read` makes of its first row, if there is one.
    ///
    /// # Errors
    /// See [`Statement::execute`], and what `read` returns.
    pub fn find<T>(
        &mut self,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> RowResult<T>,
    ) -> RowResult<Option<T>> {
        let mut rows = self.query(values)?;
        rows.next()?.map(|row| read(&row)).transpose()
    }

    /// What `read` makes of its one row.
    ///
    /// # Errors
    /// See [`Statement::execute`], what `read` returns, and when there is none.
    pub fn one<T>(
        &mut self,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> RowResult<T>,
    ) -> RowResult<T> {
        self.find(values, read)?
            .ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// What `read` makes of all its rows.
    ///
    /// # Errors
    /// See [`Statement::execute`], and what `read` returns.
    pub fn all<T>(
        &mut self,
        values: impl Params,
        mut read: impl FnMut(&Row<'_>) -> RowResult<T>,
    ) -> RowResult<Vec<T>> {
        let (mut rows, mut all) = (self.query(values)?, Vec::new());
        while let Some(row) = rows.next()? {
            all.push(read(&row)?);
        }
        Ok(all)
    }

    /// Whether it has a row.
    ///
    /// # Errors
    /// See [`Statement::execute`].
    pub fn exists(&mut self, values: impl Params) -> RowResult<bool> {
        Ok(self.query(values)?.next()?.is_some())
    }
}

/// The rows of a query.
pub struct Rows<'s>(rusqlite::Rows<'s>);

impl Rows<'_> {
    /// The next one.
    ///
    /// # Errors
    /// A storage error.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row borrows from the rows, which no iterator allows"
    )]
    pub fn next(&mut self) -> RowResult<Option<Row<'_>>> {
        Ok(self.0.next()?.map(Row))
    }
}

/// A row.
pub struct Row<'r>(&'r rusqlite::Row<'r>);

impl Row<'_> {
    /// A column's value.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn get<I: RowIndex, T: Column>(&self, column: I) -> RowResult<T> {
        Ok(self.0.get::<_, Read<T>>(column)?.0)
    }

    /// A column's value as the driver has it.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn get_ref(&self, column: usize) -> RowResult<ValueRef<'_>> {
        Ok(self.0.get_ref(column)?)
    }

    /// Whatever a column holds.
    pub(crate) fn value(&self, column: usize) -> Value {
        self.0.get(column).unwrap_or(Value::Null)
    }
}

impl<'r> From<&'r rusqlite::Row<'r>> for Row<'r> {
    fn from(row: &'r rusqlite::Row<'r>) -> Self {
        Self(row)
    }
}

/// The way of our values through the driver.
struct Read<T>(T);

impl<T: Column> FromSql for Read<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::column(value).map(Self)
    }
}

/// What a column may be read as.
pub trait Column: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When it is of another type.
    fn column(value: ValueRef<'_>) -> FromSqlResult<Self>;
}

/// What a statement may be given.
pub trait Param {
    /// The value as the driver takes it.
    ///
    /// # Errors
    /// When SQLite has no such number.
    fn value(&self) -> rusqlite::Result<ToSqlOutput<'_>>;
}

/// The values of a statement, in order.
pub trait Params {
    /// Gives them to the driver.
    ///
    /// # Errors
    /// When there are too many or too few.
    fn bind(self, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()>;
}

impl Params for &[&dyn Param] {
    fn bind(self, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()> {
        let wanted = statement.parameter_count();
        if wanted != self.len() {
            return Err(rusqlite::Error::InvalidParameterCount(self.len(), wanted));
        }
        for (at, value) in self.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, value.value()?)?;
        }
        Ok(())
    }
}

impl<P: Param, const N: usize> Params for [P; N] {
    fn bind(self, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()> {
        self.each_ref().map(|value| value as &dyn Param)[..].bind(statement)
    }
}

/// Values of several types, for a statement.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::Param),*] as &[&dyn $crate::Param]
    };
}

impl<T: Param + ?Sized> Param for &T {
    fn value(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        (**self).value()
    }
}

impl<T: Param> Param for Option<T> {
    fn value(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Some(value) => value.value(),
            None => Ok(Null.into()),
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn column(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::column(value).map(Some),
        }
    }
}

macro_rules! given {
    ($($of:ty),+) => {$(
        impl Param for $of {
            fn value(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.to_sql()
            }
        }
    )+};
}

macro_rules! read {
    ($($of:ty),+) => {$(
        impl Column for $of {
            fn column(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::column_result(value)
            }
        }
    )+};
}

macro_rules! within {
    ($($of:ident),+) => {$(
        impl Param for $of {
            fn value(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl Column for $of {
            fn column(value: ValueRef<'_>) -> FromSqlResult<Self> {
                FromSql::column_result(value).map($of)
            }
        }
    )+};
}

given!(
    str,
    String,
    [u8],
    [u8; 32],
    Vec<u8>,
    bool,
    u16,
    i32,
    u32,
    i64,
    Uuid,
    Value
);
read!(String, Vec<u8>, bool, u16, i32, u32, i64, Uuid);
within!(
    UserId,
    EventId,
    AnnouncementId,
    WordingId,
    PostId,
    StreamId,
    PlaybackId,
    WaitlistId,
    RegistrationId,
    TicketId,
    OrderId,
    PaymentId,
    RefundId,
    MessageId,
    Paise
);
