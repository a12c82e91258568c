create or replace function flux.recorded_moment(at timestamptz)
    returns timestamptz
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    installed timestamptz := (select min(installed_at) from flux.installed_files where scope = 'flux');
    oldest    timestamptz := flux.oldest_day();
    forgotten boolean := coalesce(oldest > installed, false);
    first     timestamptz := case
        when forgotten then oldest
        else least(installed, (select min(started_at) from flux.trace_requests))
    end;
begin
    if at > clock_timestamp() then
        raise exception 'the moment % lies in the future', at using errcode = 'XF003';
    end if;

    if at < first then
        raise exception 'what was before % is not recorded', first using
            errcode = 'XF803',
            hint = case
                when forgotten then 'Older days were forgotten; [recording] keep_days in flux.toml says how many are kept.'
                else 'Flux was installed in this database then.'
            end;
    end if;

    return at;
end
$$;

comment on function flux.recorded_moment(timestamptz) is
    'A moment the record reaches to; raises for one before it, days forgotten included, or in the future, where any answer would be a guess.';
