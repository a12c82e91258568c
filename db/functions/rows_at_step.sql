create or replace function flux.rows_at_step(request uuid, step integer, most integer default 50)
    returns table (
        table_name   text,
        row_key      jsonb,
        seen         jsonb,
        at_step      jsonb,
        written      boolean,
        rolled_back  boolean,
        rows         bigint
    )
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    asked flux.trace_requests;
    rows_ jsonb := '{}';
    gone  boolean;
    own   text[];
    total bigint;
    one   record;
    place text;
    was   text;
    row_  jsonb;
begin
    select subject.* into asked from flux.request_record(request) as subject;

    if asked.replay_of is not null then
        raise exception 'request % is a replay, and the sandbox that held its rows is gone', flux.short_id(request)
            using errcode = 'XF803', hint = 'Ask for the request that it replays.';
    end if;

    select bool_and(mutation.rolled_back) into gone from flux.request_mutations(request) as mutation;

    -- Of many rows those that the step itself wrote are listed in any case.
    select
        count(distinct mutation.table_name || mutation.row_key::text),
        (array_agg(
            mutation.table_name || coalesce(mutation.previous_key, mutation.row_key)::text order by mutation.id
        ) filter (where mutation.span_id = step))[:most]
    into total, own
    from flux.request_mutations(request) as mutation
    where mutation.row_key is not null
        and (gone or not mutation.rolled_back);

    -- In the order of the writes: what the request saw at first, then each write of its own up to the step.
    for one in
        select mutation.*, coalesce(mutation.span_id, 0) <= step as is_done
        from flux.request_mutations(request) as mutation
        where mutation.row_key is not null
            and (gone or not mutation.rolled_back)
        order by mutation.id
    loop
        place := one.table_name || one.row_key::text;
        was := one.table_name || coalesce(one.previous_key, one.row_key)::text;

        if not rows_ ? was then
            continue when (select count(*) from jsonb_object_keys(rows_)) >= most and was <> all (coalesce(own, '{}'));
            row_ := case
                when asked.snapshot is not null
                    then flux.row_seen_by(to_regclass(one.table_name), coalesce(one.previous_key, one.row_key), request)
                else flux.row_as_of(
                    to_regclass(one.table_name), coalesce(one.previous_key, one.row_key), asked.started_at
                )
            end;
            rows_ := rows_ || jsonb_build_object(was, jsonb_build_object(
                'table', one.table_name, 'key', coalesce(one.previous_key, one.row_key), 'seen', row_, 'now', row_
            ));
        end if;

        if one.is_done then
            row_ := rows_ -> was;
            rows_ := (rows_ - was) || jsonb_build_object(place, row_ || jsonb_build_object(
                'key', one.row_key,
                'now', case
                    when one.operation in ('DELETE', 'TRUNCATE') then null
                    when one.operation = 'INSERT' then one.new_values
                    else coalesce(nullif(row_ -> 'now', 'null'), '{}') || one.new_values
                end,
                'written', coalesce((row_ ->> 'written')::boolean, false) or coalesce(one.span_id = step, false),
                'rolled_back', one.rolled_back
            ));
        end if;
    end loop;

    return query
    select
        part.value ->> 'table', part.value -> 'key',
        nullif(part.value -> 'seen', 'null'), nullif(part.value -> 'now', 'null'),
        coalesce((part.value ->> 'written')::boolean, false), coalesce((part.value ->> 'rolled_back')::boolean, false),
        case when count(*) over () < most then count(*) over () else greatest(total, count(*) over ()) end
    from jsonb_each(rows_) as part
    order by 5 desc, 1, 2;
end
$$;

comment on function flux.rows_at_step(uuid, integer, integer) is
    'The rows that a request wrote: as it saw them at first, and as they were for it after a step, with its own writes up to there; rows counts them where more were written than are listed.';
