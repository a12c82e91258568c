create or replace function flux.blame_note(recorded jsonb, present jsonb, tried text, tried_by text)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select nullif(concat_ws('; ',
        case
            when recorded is null then 'no write of it is recorded'
            when present <> recorded
                then format('the table now says %s: changed unrecorded', flux.value_text(present))
        end,
        case
            when tried is not null then format(
                'later %s %s rolled back',
                case when tried in ('DELETE', 'TRUNCATE') then 'delete' else 'attempt' end, tried_by
            )
        end
    ), '')
$$;

comment on function flux.blame_note(jsonb, jsonb, text, text) is
    'What a reader must know of a column besides its last write: that it was tried again in vain, or that record and table disagree.';
