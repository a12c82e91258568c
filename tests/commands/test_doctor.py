"""flux doctor: names everything that keeps the record from being whole."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest
import story
import wasmtime

from flux.commands.doctor import doctor
from flux.engine.installer import install
from flux.runtime.guests.wasm import capi


@pytest.fixture
def healthy(project, database_url):
    project = replace(project, database_url=database_url)
    install(database_url, project)
    return project


def findings(project):
    return json.loads(story.run(doctor, project, "--json").output)


def test_a_healthy_project_has_no_problem(healthy):
    """The base line: everything looked at, nothing found."""
    result = story.run(doctor, healthy)

    assert result.exit_code == 0 or "fsync" in result.output, result.output
    assert "✔ installed" in result.output


def test_every_table_that_is_not_recorded_is_named(healthy, database_url):
    """A table without a recorder is a hole in every later answer; one left out on purpose is only a note."""
    with psycopg.connect(database_url) as connection:
        connection.execute("create table public.forgotten (id int primary key)")
        connection.execute("create table public.left_out (id int primary key)")
        connection.execute("select flux.untrack('public.forgotten'), flux.untrack('public.left_out')")
        connection.execute("delete from flux.tracking_choices where table_name = 'public.forgotten'")

    found = {row["finding"]: row for row in findings(healthy) if row["subject"] == "tracking"}

    forgotten = next(row for text, row in found.items() if text.startswith("forgotten is not recorded"))
    left_out = next(row for text, row in found.items() if text.startswith("left_out is not recorded"))
    assert (forgotten["state"], forgotten["hint"]) == ("problem", "Run `flux db track forgotten`.")
    assert left_out["state"] == "note"


def test_a_module_that_does_not_load_is_named_with_its_line(healthy):
    """Its routes answer 500; this is where to look."""
    (healthy.root / "functions" / "broken.py").write_text("x = 1\nimport nowhere_to_be_found\n")

    result = story.run(doctor, healthy)

    assert "functions/broken.py:2" in result.output
    assert result.exit_code == 1


def test_a_database_that_cannot_be_reached_is_the_finding(project):
    """The doctor is asked when things are bad; it must not fall over them."""
    result = story.run(doctor, replace(project, database_url="postgresql://127.0.0.1:1/none"))

    assert result.exit_code == 3
    assert "✗ database" in result.output
    assert "? tracking" in result.output


def test_a_database_without_flux_says_what_to_run(project, bare_url):
    """Exit code 4 tells a script what is missing."""
    result = story.run(doctor, replace(project, database_url=bare_url))

    assert result.exit_code == 4
    assert "Run `flux db migrate`." in result.output


def test_functions_are_counted_by_language(healthy, monkeypatch):
    """What runs them, in which version, is the first question when one of them does not; and so is why it is slow."""
    write_wasm(healthy.root / "functions" / "echo")
    found = {row["subject"]: row["finding"] for row in findings(healthy)}
    monkeypatch.setattr(capi, "missing", ["wasmtime_store_new"])
    slower = {row["subject"]: row for row in findings(healthy)}["wasmtime"]

    assert found["languages"] == f"1 wasm on wasmtime {capi.VERSION}"
    assert "wasmtime" not in found
    assert (slower["state"], slower["finding"]) == ("note", "its slower interface is used: wasmtime_store_new")


def write_wasm(folder):
    """A function in WebAssembly that gives back what it is given."""
    module = """(module (import "flux" "call" (func (param i32 i32) (result i64)))
        (memory (export "memory") 1)
        (func (export "flux_alloc") (param i32) (result i32) (i32.const 1024))
        (func (export "flux_handle") (param i32 i32) (result i64)
          (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))))"""
    folder.mkdir(parents=True)
    (folder / "echo.wasm").write_bytes(wasmtime.wat2wasm(module))
    (folder / "flux.toml").write_text('[wasm]\nmodule = "echo.wasm"\n')
