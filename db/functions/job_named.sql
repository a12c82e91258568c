create or replace function flux.job_named(given text)
    returns bigint
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    number text := substring(given from '^(?:job:)?([0-9]{1,18})$');
begin
    if number is null then
        raise exception '"%" is not a job', given
            using errcode = 'XF003', hint = 'A job is a number: job:1234. `flux queue list` shows them.';
    end if;

    if not exists (select from flux.jobs where job_id = number::bigint)
        and not exists (select from flux.finished_jobs where job_id = number::bigint)
    then
        raise exception 'there is no job:%', number
            using errcode = 'XF801', hint = '`flux queue list` shows those to come, `flux queue dead` those that failed.';
    end if;

    return number::bigint;
end
$$;

comment on function flux.job_named(text) is
    'The id of a job from how people write it: 1234 or job:1234; raises an error where there is none.';
