"""The recorder's time grows with the number of rows, not faster."""

from __future__ import annotations

import time

import psycopg


def seconds(connection: psycopg.Connection, statement: str) -> float:
    started = time.perf_counter()
    connection.execute(statement)
    return time.perf_counter() - started


def test_bulk_writes_are_linear_after_single_ones(connection: psycopg.Connection) -> None:
    """H1: a plan made for one row, kept for eight thousand, took another recorder 17 seconds instead of 0.2."""
    connection.execute("create table public.t (id int primary key, v int)")
    connection.execute("insert into t select n, 0 from generate_series(1, 16000) as n")
    for number in range(10):
        connection.execute(f"update t set v = v + 1 where id = {number}")

    small = seconds(connection, "update t set v = v + 1 where id <= 2000")
    large = seconds(connection, "update t set v = v + 1 where id <= 16000")

    assert large < 8 * small * 3


def test_a_hundred_thousand_rows_are_recorded_one_by_one(connection: psycopg.Connection) -> None:
    """`insert … select` is how people load data, and each row is someone's."""
    connection.execute("create table public.t (id int primary key, v text)")

    connection.execute("insert into t select n, 'v' || n from generate_series(1, 100000) as n")

    counted = connection.execute(
        "select count(*), count(distinct row_key) from flux.state_mutations where table_name = 'public.t'"
    ).fetchone()
    assert counted == (100_000, 100_000)
