//! Flux for functions in Rust: what a function may ask of its host, and how its answer gets there.
//!
//! ```ignore
//! mod flux;
//!
//! fn hello(ctx: &flux::Ctx, input: Input) -> flux::Result<Greeting> { … }
//!
//! flux::function!(hello);
//! ```
//!
//! Values are whatever serde can read and write; `docs/guests/protocol.md` says what becomes of those of Postgres.
//! An `Error` goes wherever `?` takes it, and remembers the line it came from.
#![allow(dead_code)]

use std::fmt;
use std::panic::{self, Location};

use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{json, Map, Value};

pub type Result<T> = std::result::Result<T, Error>;

/// An error: of the host, of the function itself, or of any library.
pub struct Error {
    /// As the record has it: "UniqueViolation", "HTTPError" …
    pub kind: String,
    pub message: String,
    /// What else is known of it: `code`, `constraint`, `status`, `problems` …
    pub more: Map<String, Value>,
    place: &'static Location<'static>,
}

impl Error {
    /// An error of the function's own.
    #[track_caller]
    pub fn new(message: impl fmt::Display) -> Error {
        Error { kind: "Error".into(), message: message.to_string(), more: Map::new(), place: Location::caller() }
    }

    /// Ends the request with this HTTP status.
    #[track_caller]
    pub fn http(status: u16, message: impl fmt::Display) -> Error {
        let mut error = Error { kind: "HTTPError".into(), ..Error::new(message) };
        error.more.insert("status".into(), status.into());
        error.place = Location::caller();
        error
    }

    /// Asks for the job to be tried again after so many seconds.
    #[track_caller]
    pub fn retry(after: f64, message: impl fmt::Display) -> Error {
        let mut error = Error { kind: "Retry".into(), ..Error::new(message) };
        error.more.insert("after".into(), after.into());
        error.place = Location::caller();
        error
    }

    /// A member of `more` as text: `error.get("constraint")`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.more.get(name).and_then(Value::as_str)
    }

    fn told(self) -> Value {
        let mut told = self.more;
        told.insert("type".into(), self.kind.into());
        told.insert("message".into(), self.message.into());
        told.insert("file".into(), self.place.file().into());
        told.insert("line".into(), self.place.line().into());
        // `column` of a database's error is a column of a table, and stays
        told.entry("column").or_insert(self.place.column().into());
        Value::Object(told)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.kind, self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Error {
        Error::new(error)
    }
}

/// What a function may ask. It lives as long as the request.
pub struct Ctx {
    pub db: Db,
    pub queue: Queue,
    pub events: Events,
    pub log: Log,
    pub secrets: Secrets,
}

impl Ctx {
    /// Any operation of the host, by name.
    #[track_caller]
    pub fn call<T: DeserializeOwned>(&self, op: &str, args: Value) -> Result<T> {
        call(op, args)
    }

    /// An HTTP request to the outside. `options` has `method`, `headers`, `body` or `json`, `timeout`.
    #[track_caller]
    pub fn fetch(&self, url: &str, options: Value) -> Result<Fetched> {
        call("fetch", with(options, "url", url))
    }

    /// A call out of the system, whose answer is recorded, and given back in a replay without making the call.
    #[track_caller]
    pub fn tool<T, F>(&self, name: &str, arguments: Value, does: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(&Tool) -> Result<T>,
    {
        let begun: Value = call("tool.begin", json!({"name": name, "arguments": arguments}))?;
        if let Some(answer) = begun.get("answer") {
            return Ok(serde_json::from_value(answer.clone())?);
        }
        let tool = Tool { call: begun["call"].clone() };
        match does(&tool) {
            Ok(value) => {
                call::<Value>("tool.end", json!({"call": tool.call, "answer": value}))?;
                Ok(value)
            }
            Err(error) => {
                call::<Value>("tool.end", json!({"call": tool.call, "error": {"type": error.kind, "message": error.message}}))?;
                Err(error)
            }
        }
    }

    /// What another function of the project answers.
    #[track_caller]
    pub fn invoke<T: DeserializeOwned>(&self, function: &str, input: impl Serialize) -> Result<T> {
        call("invoke", json!({"function": function, "input": serde_json::to_value(input)?}))
    }

    /// The time in UTC, as ISO 8601.
    #[track_caller]
    pub fn now(&self) -> Result<String> {
        call("now", json!({}))
    }

    /// A random UUID.
    #[track_caller]
    pub fn uuid(&self) -> Result<String> {
        call("uuid", json!({}))
    }

    /// A number from 0 up to 1; not for secrets.
    #[track_caller]
    pub fn random(&self) -> Result<f64> {
        call("random", json!({}))
    }

    /// The request: `id`, `kind`, `method`, `path`, `query`, `headers`.
    #[track_caller]
    pub fn request(&self) -> Result<Value> {
        call("request", json!({}))
    }
}

/// The request's transaction. Parameters are marked `$1`, `$2` …
pub struct Db;

impl Db {
    /// The number of rows that were written or returned.
    #[track_caller]
    pub fn execute(&self, sql: &str, parameters: &[Value]) -> Result<u64> {
        call("db.execute", json!({"sql": sql, "parameters": parameters}))
    }

    /// The first row; `Option<T>` where there may be none.
    #[track_caller]
    pub fn one<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> Result<T> {
        call("db.one", json!({"sql": sql, "parameters": parameters}))
    }

    /// Every row.
    #[track_caller]
    pub fn all<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> Result<Vec<T>> {
        call("db.all", json!({"sql": sql, "parameters": parameters}))
    }

    /// The first column of the first row.
    #[track_caller]
    pub fn value<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> Result<T> {
        call("db.value", json!({"sql": sql, "parameters": parameters}))
    }

    /// A structured query: its rows, or the number of rows that it wrote.
    #[track_caller]
    pub fn query<T: DeserializeOwned>(&self, query: Value) -> Result<T> {
        call("db.query", json!({"query": query}))
    }
}

/// Jobs, which exist exactly if the transaction does.
pub struct Queue;

impl Queue {
    /// The id of a new job. `options` has `delay`, `run_at`, `key`, `priority` …
    #[track_caller]
    pub fn push(&self, function: &str, input: impl Serialize, options: Value) -> Result<i64> {
        let options = with(options, "function", function);
        call("queue.push", with(options, "input", serde_json::to_value(input)?))
    }
}

/// Events, for whoever subscribes.
pub struct Events;

impl Events {
    /// The id of a new event.
    #[track_caller]
    pub fn publish(&self, kind: &str, data: impl Serialize) -> Result<Value> {
        call("events.publish", json!({"type": kind, "data": serde_json::to_value(data)?}))
    }
}

/// Log lines of the request, with fields.
pub struct Log;

impl Log {
    #[track_caller]
    pub fn debug(&self, message: &str, fields: Value) {
        line("debug", message, fields);
    }

    #[track_caller]
    pub fn info(&self, message: &str, fields: Value) {
        line("info", message, fields);
    }

    #[track_caller]
    pub fn warning(&self, message: &str, fields: Value) {
        line("warning", message, fields);
    }

    #[track_caller]
    pub fn error(&self, message: &str, fields: Value) {
        line("error", message, fields);
    }
}

/// Secrets, hidden in the record.
pub struct Secrets;

impl Secrets {
    #[track_caller]
    pub fn get(&self, name: &str) -> Result<Option<String>> {
        call("secrets.get", json!({"name": name}))
    }
}

/// A tool call under way.
pub struct Tool {
    call: Value,
}

impl Tool {
    /// A fetch that belongs to it.
    #[track_caller]
    pub fn fetch(&self, url: &str, options: Value) -> Result<Fetched> {
        call("fetch", with(with(options, "url", url), "tool", self.call.clone()))
    }
}

/// What a fetch got. `body_base64` is there in place of `body` where it is not text.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Fetched {
    pub status: u16,
    pub headers: Map<String, Value>,
    #[serde(default)]
    pub body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// A whole HTTP response, for functions whose answer is not only JSON.
pub fn response(status: u16, headers: Value, body: impl Serialize) -> Result<Value> {
    Ok(json!({"$response": {"status": status, "headers": headers, "body": serde_json::to_value(body)?}}))
}

#[track_caller]
fn line(level: &str, message: &str, fields: Value) {
    let place = Location::caller();
    let args = json!({"level": level, "message": message, "fields": fields, "file": place.file(), "line": place.line()});
    let _: Result<Value> = call("log", args);
}

fn with(options: Value, name: &str, value: impl Into<Value>) -> Value {
    let mut options = if let Value::Object(options) = options { options } else { Map::new() };
    options.insert(name.into(), value.into());
    Value::Object(options)
}

// How the bytes travel: docs/guests/abi.md

#[link(wasm_import_module = "flux")]
extern "C" {
    #[link_name = "call"]
    fn flux_call(address: *const u8, size: usize) -> u64;
}

#[no_mangle]
extern "C" fn flux_alloc(size: usize) -> *mut u8 {
    Box::leak(vec![0; size].into_boxed_slice()).as_mut_ptr()
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply<T> {
    Ok(T),
    Error(Map<String, Value>),
}

#[track_caller]
fn call<T: DeserializeOwned>(op: &str, args: Value) -> Result<T> {
    let request = json!({"op": op, "args": args}).to_string();
    let reply = unsafe { flux_call(request.as_ptr(), request.len()) };
    let reply = unsafe { taken((reply >> 32) as usize as *mut u8, reply as u32 as usize) };
    match serde_json::from_slice(&reply)? {
        Reply::Ok(value) => Ok(value),
        Reply::Error(mut more) => {
            let mut text = |name: &str| more.remove(name).and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default();
            let (kind, message) = (text("type"), text("message"));
            Err(Error { kind, message, more, place: Location::caller() })
        }
    }
}

unsafe fn taken(address: *mut u8, size: usize) -> Vec<u8> {
    Vec::from_raw_parts(address, size, size)
}

/// What `function!` makes of a call; not to be called by hand.
#[doc(hidden)]
pub unsafe fn answered<I, O, F>(address: *mut u8, size: usize, function: F) -> u64
where
    I: DeserializeOwned,
    O: Serialize,
    F: FnOnce(&Ctx, I) -> Result<O>,
{
    // a panic cannot be unwound here, so the host ends the request with it
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<String>().cloned();
        let message = message.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string()));
        let place = panic.location();
        let _: Result<Value> = call(
            "raise",
            json!({
                "type": "Panic",
                "message": message,
                "file": place.map(Location::file),
                "line": place.map(Location::line),
                "column": place.map(Location::column),
            }),
        );
    }));
    let ctx = Ctx { db: Db, queue: Queue, events: Events, log: Log, secrets: Secrets };
    let input = taken(address, size);
    let result = serde_json::from_slice(&input).map_err(Error::from).and_then(|input| function(&ctx, input));
    let reply = match result.and_then(|value| Ok(serde_json::to_vec(&Ok_ { ok: value })?)) {
        Ok(reply) => reply,
        Err(error) => json!({"error": error.told()}).to_string().into_bytes(),
    };
    let reply = Box::leak(reply.into_boxed_slice());
    (reply.as_ptr() as u64) << 32 | reply.len() as u64
}

#[derive(Serialize)]
struct Ok_<T> {
    ok: T,
}

/// Makes a function the one that this module is.
macro_rules! function {
    ($function:path) => {
        #[no_mangle]
        unsafe extern "C" fn flux_handle(address: *mut u8, size: usize) -> u64 {
            $crate::flux::answered(address, size, $function)
        }
    };
}
pub(crate) use function;
