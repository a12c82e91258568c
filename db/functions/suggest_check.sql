create or replace function flux.suggest_check(request uuid, step integer)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        'certain',
        format('constraint %s of %s demands %s', rule.conname, flux.short_table(flux.logical_name(rule.conrelid::regclass)),
            regexp_replace(pg_get_constraintdef(rule.oid), '^CHECK ', ''))
        || coalesce('; given were ' || left(span.input::text, 200), ''),
        null::uuid,
        null
    from flux.execution_spans as span
    join pg_constraint as rule
        on rule.conname = span.error ->> 'constraint'
        and rule.contype = 'c'
        and flux.logical_name(rule.conrelid::regclass) = flux.known_table(span.error ->> 'table')
    where span.request_id = request
        and span.span_id = step
$$;

comment on function flux.suggest_check(uuid, integer) is
    'For a check violation: what the constraint demands, and what the statement was given.';
