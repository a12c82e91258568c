create or replace function flux.recorded_moment(at timestamptz)
    returns timestamptz
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    first timestamptz := least(
        (select min(installed_at) from flux.installed_files where scope = 'flux'),
        (select min(started_at) from flux.trace_requests)
    );
begin
    if at > clock_timestamp() then
        raise exception 'the moment % lies in the future', at using errcode = 'XF003';
    end if;

    if at < first then
        raise exception 'what was before % is not recorded', first using
            errcode = 'XF803',
            hint = 'Flux was installed in this database then.';
    end if;

    return at;
end
$$;

comment on function flux.recorded_moment(timestamptz) is
    'A moment the record reaches to; raises for one before it or in the future, where any answer would be a guess.';
