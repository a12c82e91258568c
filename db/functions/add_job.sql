create or replace function flux.add_job(
    kind text,
    function text,
    input jsonb,
    queue text default null,
    run_at timestamptz default null,
    key text default null,
    unique_for interval default null,
    priority integer default null,
    max_attempts integer default null,
    ordering_key text default null,
    depth integer default null
)
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
declare
    defaults flux.job_defaults;
    job      flux.jobs;
begin
    perform flux.check_payload(function, input);

    -- Said here and not by a constraint, so that whoever pushes is told what to write instead. Beyond these years no
    -- worker could read the row, and one that is there keeps it from all others.
    if queue !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]*$' then
        raise exception 'the queue of a job for % is %', function, quote_literal(queue)
            using errcode = 'XF506', hint = 'Write a name such as mail.';
    elsif max_attempts not between 1 and 1000000 then
        raise exception 'the max_attempts of a job for % are %', function, max_attempts
            using errcode = 'XF506', hint = 'Write a number from 1 to 1000000.';
    elsif run_at not between timestamptz '0002-01-01 00:00+00' and timestamptz '9998-12-31 00:00+00' then
        raise exception 'a job for % is to run at %', function, run_at
            using errcode = 'XF506', hint = 'Write a moment of the years 2 to 9998.';
    end if;

    select * into defaults from flux.job_defaults as said where said.function = add_job.function;

    job.queue := coalesce(queue, defaults.queue, 'default');

    if unique_for is not null then
        job.job_id := flux.take_key(function, key, unique_for);
        if job.job_id is not null then
            return job.job_id;
        end if;
    end if;

    if ordering_key is not null then
        -- Whoever pushes next with this key waits for this transaction, so that numbers are in the order of commits.
        perform pg_advisory_xact_lock(hashtextextended('flux.jobs ' || job.queue || ' ' || ordering_key, 0));
    end if;

    -- A job of the same key may end between the two statements; then the key is free.
    loop
        insert into flux.jobs (
            kind, queue, function, input, priority, run_at, max_attempts, key, ordering_key, depth,
            parent_request_id, parent_span_id, trace_id
        )
        values (
            kind, job.queue, function, input, coalesce(priority, 0), coalesce(run_at, now()),
            coalesce(max_attempts, defaults.max_attempts, flux.setting_number('max_attempts', 10)),
            key, ordering_key, coalesce(depth, flux.current_depth()),
            flux.current_request_id(), flux.current_span_id(), flux.current_trace_id()
        )
        on conflict do nothing
        returning jobs.job_id into job.job_id;

        if job.job_id is null then
            select there.job_id into job.job_id
            from flux.jobs as there
            where there.function = add_job.function
                and there.key = add_job.key;
        end if;

        exit when job.job_id is not null;
    end loop;

    if unique_for is not null then
        update flux.job_keys set job_id = job.job_id
        where job_keys.function = add_job.function
            and job_keys.key = add_job.key;
    end if;

    return job.job_id;
end
$$;

comment on function flux.add_job(
    text, text, jsonb, text, timestamptz, text, interval, integer, integer, text, integer
) is
    'Adds a job of any kind to the queue, in this transaction; the id of the one that is there where its key is taken. Functions and psql call flux.enqueue.';

revoke all on function flux.add_job(
    text, text, jsonb, text, timestamptz, text, interval, integer, integer, text, integer
) from public;
