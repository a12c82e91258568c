create or replace function flux.declare_job_defaults(declared jsonb)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    delete from flux.job_defaults as said
    where not exists (
        select
        from jsonb_to_recordset(declared -> 'functions') as loaded (function text, queue text, max_attempts integer)
        where loaded.function = said.function
            and coalesce(loaded.queue, loaded.max_attempts::text) is not null
    )
        and not declared -> 'broken' ? said.function;

    insert into flux.job_defaults as said (function, queue, max_attempts)
    select loaded.function, loaded.queue, loaded.max_attempts
    from jsonb_to_recordset(declared -> 'functions') as loaded (function text, queue text, max_attempts integer)
    where coalesce(loaded.queue, loaded.max_attempts::text) is not null
    on conflict (function) do update
    set queue = excluded.queue, max_attempts = excluded.max_attempts
    where (said.queue, said.max_attempts) is distinct from (excluded.queue, excluded.max_attempts);
end
$$;

comment on function flux.declare_job_defaults(jsonb) is
    'Keeps what the loaded functions say of their jobs, so that a push from SQL heeds it too.';

revoke all on function flux.declare_job_defaults(jsonb) from public;
