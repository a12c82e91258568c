create or replace function flux.shell_word(given text)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select case
        when given ~ '^[[:alnum:]_./:=,@%+-]+$' then given
        else '''' || replace(given, '''', '''\''''') || ''''
    end
$$;

comment on function flux.shell_word(text) is
    'A text as one word of a shell command, quoted where it must be.';
