create or replace function flux.sequences_drawn()
    returns setof text
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    sequence regclass;
begin
    for sequence in
        select known.seqrelid
        from pg_sequence as known
        join pg_class as class on class.oid = known.seqrelid
        where class.relpersistence <> 't'
            and class.relnamespace <> 'flux'::regnamespace
            and has_sequence_privilege(known.seqrelid, 'select, usage')
        order by known.seqrelid::regclass::text
    loop
        begin
            perform currval(sequence);
            return next sequence::text;
        exception
            when object_not_in_prerequisite_state then
                null;
        end;
    end loop;
end
$$;

comment on function flux.sequences_drawn() is
    'Sequences of which this session has drawn numbers: a rollback does not give them back.';

revoke all on function flux.sequences_drawn() from public;
