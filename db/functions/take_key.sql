create or replace function flux.take_key(function text, key text, for_time interval)
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
begin
    if key is null then
        raise exception 'a job for % is to be unique for a time, but has no key', function
            using errcode = 'XF506', hint = 'Give it a key: that is what is unique.';
    end if;

    insert into flux.job_keys (function, key, until)
    values (function, key, now() + for_time)
    on conflict on constraint job_keys_pkey do update
    set until = excluded.until, job_id = null
    where job_keys.until <= now();

    if found then
        return null;
    end if;

    return (
        select taken.job_id
        from flux.job_keys as taken
        where taken.function = take_key.function
            and taken.key = take_key.key
    );
end
$$;

comment on function flux.take_key(text, text, interval) is
    'Takes a key of a function for a time; null when it was free, else the job that has it.';

revoke all on function flux.take_key(text, text, interval) from public;
