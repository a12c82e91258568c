create or replace function flux.check_payload(function text, input jsonb)
    returns void
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    size    bigint := octet_length(input::text);
    allowed bigint;
begin
    if input is null or jsonb_typeof(input) <> 'object' then
        raise exception 'the input of a job for % is not an object', function
            using errcode = 'XF506', hint = 'Give arguments by name: {"user_id": 42}.';
    end if;

    -- Below this no project's limit needs to be looked up, and there is no room for many levels.
    if size <= 400 then
        return;
    end if;

    allowed := flux.setting_number('payload_limit', 1048576);
    if flux.nested_too_deep(input) then
        raise exception 'the input of a job for % is nested deeper than 200 levels', function
            using errcode = 'XF506', hint = 'Store it in a table and push its key.';
    end if;

    if size > allowed then
        raise exception 'the input of a job for % has % bytes, more than % bytes', function, size, allowed
            using
                errcode = 'XF501',
                hint = 'Store it in a table and push its key, or raise [queue] payload_limit in flux.toml.';
    end if;
end
$$;

comment on function flux.check_payload(text, jsonb) is
    'Refuses the input of a job that is no object, is larger than [queue] payload_limit, or cannot be read where it runs.';
