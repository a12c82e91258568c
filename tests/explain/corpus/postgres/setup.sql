create table char_tbl (f1 char(4));
create table float8_tbl (f1 float8);
create table int2_tbl (f1 int2);
create table int4_tbl (f1 int4);
insert into int4_tbl values (0), (123456), (-123456), (2147483647), (-2147483647);
create table int8_tbl (q1 int8, q2 int8);
insert into int8_tbl values (123, 456), (123, 4567890123456789), (4567890123456789, 123),
    (4567890123456789, 4567890123456789), (4567890123456789, -4567890123456789);
create table text_tbl (f1 text);
insert into text_tbl values ('doh!'), ('hi de ho neighbor');
create table varchar_tbl (f1 varchar(4));
create table onek (
    unique1 int4, unique2 int4, two int4, four int4, ten int4, twenty int4, hundred int4, thousand int4,
    twothousand int4, fivethous int4, tenthous int4, odd int4, even int4, stringu1 name, stringu2 name, string4 name
);
create table onek2 (like onek);
create table tenk1 (like onek);
create table tenk2 (like onek);
create index onek_unique1 on onek (unique1);
create index onek_unique2 on onek (unique2);
create index onek_hundred on onek (hundred);
create index onek_stringu1 on onek (stringu1);
create index tenk1_unique1 on tenk1 (unique1);
create index tenk1_unique2 on tenk1 (unique2);
create index tenk1_hundred on tenk1 (hundred);
create index tenk1_thous_tenthous on tenk1 (thousand, tenthous);
create index onek2_u1_prtl on onek2 (unique1) where unique1 < 20 or unique1 > 980;
create index onek2_u2_prtl on onek2 (unique2) where stringu1 < 'B';
create index onek2_stu1_prtl on onek2 (stringu1) where stringu1 >= 'J' and stringu1 < 'K';
create table person (name text, age int4, location point);
create table emp (salary int4, manager name) inherits (person);
create table student (gpa float8) inherits (person);
create table stud_emp (percent int4) inherits (emp, student);
