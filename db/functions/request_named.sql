create or replace function flux.request_named(given text)
    returns uuid
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    matches uuid[];
    listing text;
begin
    if given like 'job:%' then
        return flux.request_of_job(flux.job_named(given));
    end if;

    select array_agg(found.request_id), string_agg(format(
        'req:%s  %s  %s', left(found.request_id::text, 13), to_char(found.started_at, 'YYYY-MM-DD HH24:MI:SS'),
        concat_ws(' ', found.method, found.path, found.function)
    ), e'\n')
    into matches, listing
    from flux.requests_by_prefix(given) as found;

    if matches is null then
        raise exception 'no request begins with %', given using
            errcode = 'XF801',
            hint = 'Run `flux trace` to see the latest requests; records older than [recording] keep_days are dropped.';
    elsif cardinality(matches) > 1 then
        raise exception '% requests begin with %', cardinality(matches), given using
            errcode = 'XF802',
            detail = listing,
            hint = 'Give more digits.';
    end if;

    return matches[1];
end
$$;

comment on function flux.request_named(text) is
    'The one request whose id begins with these hex digits, or the latest attempt at job:1234; raises XF801 when there is none, XF802 when there are several.';
