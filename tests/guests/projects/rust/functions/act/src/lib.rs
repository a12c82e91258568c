//! The functions of the conformance suite: `act` takes steps, `add` is a sum; one module is both.

mod flux;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

use flux::{Ctx, Error, Result};
use serde_json::{json, Value};

const TYPES: &str = r#"
    select
        9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
        '\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
        null::text as nothing, true as yes
"#;

fn run(ctx: &Ctx, input: Value) -> Result<Value> {
    let Some(steps) = input["steps"].as_array() else {
        return Ok(json!({"sum": input["a"].as_i64().unwrap_or(0) + input["b"].as_i64().unwrap_or(0)}));
    };
    let mut results = vec![];
    for step in steps {
        if step["do"] == "respond" {
            return flux::response(step["status"].as_u64().unwrap_or(200) as u16, step["headers"].clone(), &step["body"]);
        }
        results.push(take(ctx, step)?);
    }
    Ok(json!({"results": results}))
}

fn take(ctx: &Ctx, step: &Value) -> Result<Value> {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    match text("do") {
        "insert" => insert(ctx, step),
        "read" => Ok(ctx.db.all::<Value>("select id, email from users where email = $1 order by id", &[step["email"].clone()])?.into()),
        "count" => ctx.db.value("select count(*) from users", &[]),
        "rename" => Ok(ctx.db.execute("update users set email = $1 where id = $2", &[step["email"].clone(), step["id"].clone()])?.into()),
        "insert_caught" => match insert(ctx, step) {
            Err(error) if error.kind == "UniqueViolation" => {
                Ok(json!({"caught": error.kind, "code": error.get("code"), "constraint": error.get("constraint")}))
            }
            other => other,
        },
        "query" => ctx.db.query(step["query"].clone()),
        "types" => ctx.db.one(TYPES, &[]),
        "fail" => Err(Error::new(text("message"))),
        "http_error" => Err(Error::http(step["status"].as_u64().unwrap_or(500) as u16, text("message"))),
        "fetch" => {
            let answer = ctx.fetch(text("url"), json!({}))?;
            Ok(json!({"status": answer.status, "body": answer.body}))
        }
        "tool" => Ok(ctx.tool(text("name"), json!({"url": step["url"]}), |tool| Ok(tool.fetch(text("url"), json!({}))?.body))?.into()),
        "now" => Ok(ctx.now()?.into()),
        "uuid" => Ok(ctx.uuid()?.into()),
        "random" => Ok(ctx.random()?.into()),
        "own_clock" => Ok(json!(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64)),
        "own_random" => Ok(json!(RandomState::new().build_hasher().finish())),
        "sleep" => {
            std::thread::sleep(Duration::from_secs_f64(step["seconds"].as_f64().unwrap_or(0.0)));
            Ok(Value::Null)
        }
        "invoke" => ctx.invoke(text("function"), &step["input"]),
        "invoke_caught" => match ctx.invoke::<Value>(text("function"), &step["input"]) {
            Err(error) => Ok(json!({"caught": error.kind, "message": error.message})),
            other => other,
        },
        "push" => Ok(ctx.queue.push(text("function"), &step["input"], json!({}))?.into()),
        "publish" => ctx.events.publish(text("type"), &step["data"]),
        "log" => {
            ctx.log.warning(text("message"), step["fields"].clone());
            Ok(Value::Null)
        }
        "print" => {
            println!("{}", text("text"));
            Ok(Value::Null)
        }
        "secret" => Ok(json!(ctx.secrets.get(text("name"))?)),
        "echo" => Ok(step["value"].clone()),
        "repeat" => Ok(text("text").repeat(step["times"].as_u64().unwrap_or(0) as usize).into()),
        "many" => {
            let mut sum = 0;
            for _ in 0..step["count"].as_u64().unwrap_or(0) {
                sum += ctx.db.value::<i64>("select 1", &[])?;
            }
            Ok(sum.into())
        }
        "spin" => loop {
            std::hint::black_box(());
        },
        "grow" => {
            let mut kept = vec![];
            loop {
                kept.push(std::hint::black_box(vec![1u8; 1 << 20]));
            }
        }
        "recurse" => Ok(recurse(1).into()),
        "panic" => panic!("{}", text("message")),
        other => Err(Error::new(format!("there is no step {other}"))),
    }
}

fn insert(ctx: &Ctx, step: &Value) -> Result<Value> {
    ctx.db.one("insert into users (email) values ($1) returning id, email", &[step["email"].clone()])
}

fn recurse(depth: u64) -> u64 {
    std::hint::black_box(depth) + recurse(std::hint::black_box(depth + 1))
}

flux::function!(run);
