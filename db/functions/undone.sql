create or replace function flux.undone(touched bigint, expected bigint, what text)
    returns text
    language plpgsql
    stable
    set search_path = ''
as $$
begin
    if touched <> expected then
        raise exception '% is not as the request left it, or other rows depend on it', what using errcode = 'XF613';
    end if;

    return what;
end
$$;

comment on function flux.undone(bigint, bigint, text) is
    'Ends a transaction that takes writes back when one of them did not find its row as it should be; raises XF613.';
