-- Splits Pickup's tables in PostgreSQL into eight hash partitions by call. Run it after flask pickup db upgrade, on
-- empty or small tables, because it copies the rows, with Pickup stopped or spooling: psql -f deploy/partitions.sql
DO $$
DECLARE
    view TEXT := pg_get_viewdef('pickup_results'::regclass);
    tables TEXT[] := ARRAY['pickup_calls', 'pickup_assignments', 'pickup_outcomes', 'pickup_transcripts'];
    keys TEXT[] := ARRAY['call_id', 'call_id, experiment', 'call_id, name', 'call_id'];
    name TEXT;
BEGIN
    DROP VIEW pickup_results;
    FOR place IN 1 .. 4 LOOP
        name := tables[place];
        EXECUTE format('ALTER TABLE %I RENAME TO whole', name);
        EXECUTE format('CREATE TABLE %I (LIKE whole) PARTITION BY HASH (call_id)', name);
        FOR piece IN 0 .. 7 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)', name || '_' || piece, name, piece
            );
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM whole', name);
        DROP TABLE whole;
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%s)', name, name || '_pkey', keys[place]);
    END LOOP;
    CREATE INDEX pickup_calls_caller ON pickup_calls (caller_key, decided_at);
    CREATE INDEX pickup_calls_decided_at ON pickup_calls (decided_at);
    CREATE INDEX pickup_calls_platform_call_id ON pickup_calls (platform_call_id) WHERE platform_call_id IS NOT NULL;
    EXECUTE 'CREATE VIEW pickup_results AS ' || view;
END $$;
