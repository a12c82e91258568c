create or replace function flux.hook_name(function text)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    -- No function of Flux's own begins so, and the hash keeps long names apart that a name of 63 bytes would cut.
    select 'hook_of_' || case
        when octet_length(function) <= 55 then function
        else left(function, 44) || '_' || left(md5(function), 8)
    end
$$;

comment on function flux.hook_name(text) is
    'What the trigger of a function''s hook and the trigger function in schema flux are called.';
